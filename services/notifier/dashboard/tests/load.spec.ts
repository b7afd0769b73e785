import { expect, test } from './suite';

test('the first load is under 150 kB, compressed, and can be used within a second', async ({ board }) => {
  const network = await board.context().newCDPSession(board);
  await network.send('Network.enable');
  await network.send('Network.setCacheDisabled', { cacheDisabled: true });
  const files = new Map<string, string>();
  let bytes = 0;
  network.on('Network.responseReceived', ({ requestId, response }) => files.set(requestId, response.url));
  network.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (!files.get(requestId)?.includes('/v1/')) bytes += encodedDataLength;
  });
  await board.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector('[data-device]')) return;
      (window as unknown as { usable: number }).usable = performance.now();
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
  });
  const usable: number[] = [];
  for (let load = 0; load < 3; load++) {
    bytes = 0;
    await board.goto('/?q=sim-');
    await board.locator('[data-device]').first().waitFor();
    usable.push(await board.evaluate(() => (window as unknown as { usable: number }).usable));
  }
  console.log(`first load: ${bytes} bytes, devices shown after ${usable.map(Math.round).join(', ')} ms`);
  expect(bytes).toBeLessThan(150_000);
  expect(Math.max(...usable)).toBeLessThan(1_000);
});

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import { ask, expect, HOT, itemOf, newDevice, publish, signIn, test } from './suite';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PAGES = ['/?q=sim-', '/devices/sim-001', '/notifications?kind=device-offline&state=RESOLVED', '/silences', '/webhooks/axe', '/scenes'];

// So that no page is empty.
test.beforeAll(async () => {
  const now = Date.now();
  const [starts_at, ends_at] = [now, now + 3_600_000].map((at) => new Date(at).toISOString());
  await ask('PUT', '/silences/axe', { matchers: ['device_id="nobody"'], starts_at, ends_at });
  await ask('PUT', '/webhooks/axe', { url: 'http://127.0.0.1:9/' });
  await ask('POST', '/webhooks/axe/test');
  await ask('PUT', '/scenes/axe', { members: [{ device_id: 'sim-001', name: 'set', arguments: { on: true } }] });
  await ask('POST', '/commands', { device_id: 'sim-001', name: 'set', arguments: { on: true }, desired_state: { on: true } });
});

const WAYS = [
  { name: 'light', options: { colorScheme: 'light' } },
  { name: 'dark', options: { colorScheme: 'dark' } },
  { name: 'at phone width', options: { colorScheme: 'light', viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true } },
] as const;

for (const { name, options } of WAYS) {
  test(`axe finds nothing serious, ${name}`, async ({ browser, baseURL }) => {
    test.setTimeout(120_000);
    const context = await browser.newContext({ ...options, baseURL });
    const page = await context.newPage();
    const device = newDevice();
    await signIn(page, `/notifications?q=${device}`);
    await publish(device, HOT);
    await expect(itemOf(page, device)).toBeVisible();
    await itemOf(page, device).getByRole('button', { name: /^Acknowledge/ }).click();
    await expect(page.getByRole('button', { name: 'Undo' })).toBeVisible();
    expect(await serious(page)).toEqual([]);
    for (const address of PAGES) {
      await page.goto(address);
      await expect(page.getByRole('status').filter({ hasText: 'live' })).toBeVisible();
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
      for (const fold of await page.locator('main > details > summary').all()) await fold.click();
      expect.soft(await serious(page), address).toEqual([]);
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect.soft(beyond, `${address} is wider than the screen`).toBeLessThanOrEqual(0);
    }
    await context.close();
  });
}

async function serious(page: import('@playwright/test').Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => (window as unknown as { axe: { run: () => Promise<AxeResults> } }).axe.run());
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary}`).join('; ')}`);
}

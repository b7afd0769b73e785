// The pictures of the README: `services/notifier/tests/dashboard.sh --screenshots` writes them, others only take them.
import { statSync } from 'node:fs';
import { expect, HOT, newDevice, notificationOf, publish, signIn, test } from './suite';

const FOLDER = process.env.FIELDWATCH_SCREENSHOTS ?? `${process.env.FIELDWATCH_TEST_OUTPUT ?? 'test-results'}/screenshots`;
const LARGEST = 150_000;

const PICTURES = [
  { name: 'fleet', address: '/?order=trouble', complete: '[data-device]', options: { colorScheme: 'light', viewport: { width: 1200, height: 640 } } },
  { name: 'device', address: '/devices/sim-001?range=15m', complete: '[data-line=band] dd:text("°C")', options: { colorScheme: 'light', viewport: { width: 1200, height: 760 } } },
  { name: 'notifications', address: '/notifications', complete: '[data-notification]', options: { colorScheme: 'dark', viewport: { width: 1200, height: 640 } } },
  { name: 'phone', address: '/devices/sim-001?range=15m', complete: '[data-line=band] dd:text("°C")', options: { colorScheme: 'dark', viewport: { width: 390, height: 760 }, isMobile: true, hasTouch: true } },
] as const;

// Something to see on the plot.
test.beforeAll(async () => {
  for (let reading = 0; reading < 4; reading++) await publish('sim-001', HOT + reading);
  await notificationOf('sim-001');
});

for (const { name, address, complete, options } of PICTURES) {
  test(`a picture of ${name}`, async ({ browser, baseURL }) => {
    const context = await browser.newContext({ ...options, baseURL });
    const page = await context.newPage();
    await publish(newDevice(), HOT);
    await signIn(page, address);
    await page.locator(complete).first().waitFor();
    await expect(page.locator('[aria-busy=true]')).toHaveCount(0);
    const path = `${FOLDER}/${name}.png`;
    await page.screenshot({ path });
    expect(statSync(path).size).toBeLessThan(LARGEST);
    await context.close();
  });
}

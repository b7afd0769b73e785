import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ask, expect, heardOf, HOT, judge, newDevice, notificationOf, publish, test } from './suite';

test('a key that is not good is refused, and a good one opens the page it was typed on', async ({ page }) => {
  await page.goto('/devices/sim-001');
  await page.getByLabel('API key').fill('fw_nobody');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).not.toBeEmpty();
});

test('the fleet shows every device with its status, health, last value and course', async ({ board }) => {
  await board.getByRole('link', { name: 'Fleet' }).click();
  await board.getByRole('searchbox').fill('sim-001');
  const row = board.locator('[data-device="sim-001"]');
  await expect(row.getByText('online')).toBeVisible();
  await expect(row.getByText(/\d °C/)).toBeVisible();
  await expect(row.locator('polyline')).toHaveCount(1);
  await expect(board.getByText(/^1 of \d\d+ devices/)).toBeVisible();
});

test('what the fleet is filtered by lives in its address', async ({ board }) => {
  await board.goto('/?q=sim-00&order=value');
  await expect(board.locator('[data-device]')).toHaveCount(9);
  await board.getByRole('button', { name: 'offline', exact: true }).click();
  await expect(board).toHaveURL(/q=sim-00.*status=OFFLINE/);
  await expect(board.getByText('No device is like that.')).toBeVisible();
  await board.reload();
  await expect(board.getByRole('button', { name: 'offline', exact: true })).toHaveAttribute('aria-pressed', 'true');
  await board.getByRole('button', { name: 'offline', exact: true }).click();
  await expect(board.locator('[data-device]')).toHaveCount(9);
});

test('a value that is published is in the fleet without a reload', async ({ board }) => {
  const device = newDevice();
  await board.goto(`/?q=${device}`);
  await publish(device, 17.25);
  const row = board.locator(`[data-device="${device}"]`);
  await expect(row.getByText('17.25 °C')).toBeVisible();
  await publish(device, 18.5);
  await expect(row.getByText('18.5 °C')).toBeVisible();
});

test('a device shows its history, moves with its readings, and can be looked at closely', async ({ board }) => {
  await board.goto('/devices/sim-001');
  const plot = board.getByRole('img', { name: /last .* °C/ });
  await expect(plot).toBeVisible();
  await expect(board.locator('.readout [data-line=band]')).toContainText('°C to', { timeout: 30_000 });
  const before = await plot.getAttribute('aria-label');
  await expect(plot).not.toHaveAttribute('aria-label', before ?? '');

  await board.getByRole('button', { name: 'Zoom in' }).click();
  await expect(board).toHaveURL(/from=.*to=/);
  await expect(board.getByRole('button', { name: 'live' })).toHaveAttribute('aria-pressed', 'false');
  await board.getByRole('button', { name: 'Earlier' }).click();
  const box = (await board.locator('.u-over').boundingBox())!;
  const earlier = board.url();
  await board.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await board.mouse.down();
  await board.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 4 });
  await board.mouse.up();
  await expect(board).not.toHaveURL(earlier);
  await plot.press('-');
  await board.getByRole('button', { name: 'live' }).click();
  await expect(board).not.toHaveURL(/from=/);
});

test('an alert is on the plot, in the timeline and among the open notifications of its device', async ({ board }) => {
  const device = newDevice();
  await publish(device, 20);
  await heardOf(device);
  await board.goto(`/devices/${device}`);
  await expect(board.getByRole('img', { name: /0 marks/ })).toBeVisible();
  await publish(device, HOT);
  await expect(board.getByRole('img', { name: /1 marks/ })).toBeVisible();
  await expect(board.getByRole('region', { name: 'Open notifications' }).locator('[data-notification]')).toHaveCount(1);
  await expect(board.getByRole('region', { name: 'Timeline' })).toContainText('opened by temperature-alert');
});

test('the health of a sensor in a group is told, with its weight', async ({ board }) => {
  const device = newDevice();
  await publish(device, 20);
  await heardOf(device);
  await judge(device, { metric: 'temperature', state: 'DRIFTING', weight: 0.4, residual: 1.8, since: Date.now() - 7_200_000 });
  await board.goto(`/devices/${device}`);
  const row = board.getByRole('region', { name: 'Sensor health' }).getByRole('row', { name: /temperature/ });
  await expect(row).toContainText(/drifting\s*0.40\s*1.8\s*2 hr. ago/);
  await expect(row.getByLabel('Weight of temperature')).toBeVisible();
  await expect(board.getByRole('img', { name: /1 marks/ })).toBeVisible();
});

test('a silence is made, keeps what matches quiet, ends, and comes back', async ({ board }) => {
  await board.goto('/silences');
  const device = newDevice();
  const name = `silence-${device}`;
  await board.getByText('New silence').click();
  await board.getByLabel('Name').fill(name);
  await board.getByRole('textbox', { name: 'Matchers' }).fill(`device_id="${device}"`);
  await board.getByLabel('Why').fill('works on the roof');
  await board.getByRole('button', { name: 'Make it' }).click();
  const entry = board.getByRole('listitem').filter({ hasText: name }).first();
  await expect(entry).toContainText('in force');

  const { silenced_by } = await ask<{ silenced_by: string[] }>('POST', '/routes/test', { kind: 'alert', severity: 'WARNING', device_id: device });
  expect(silenced_by).toContain(name);
  await entry.getByRole('button', { name: `End silence ${name}` }).click();
  await expect(entry).toHaveCount(0);
  await board.getByRole('button', { name: 'Undo' }).click();
  await expect(entry).toContainText('works on the roof');
});

test('what cannot be a silence is said where it is made', async ({ board, tolerated }) => {
  tolerated.push(/status of 400/);
  await board.goto('/silences');
  await board.getByText('New silence').click();
  await board.getByLabel('Name').fill('wrong');
  await board.getByRole('textbox', { name: 'Matchers' }).fill('no matcher');
  await board.getByRole('button', { name: 'Make it' }).click();
  await expect(board.locator('form').getByRole('alert')).toContainText('`no matcher` is not a matcher');
});

test('a webhook is made, shows its secret once, is tested, and its deliveries are there to see', async ({ board }) => {
  const posted: string[] = [];
  const endpoint = createServer((request, response) => {
    posted.push(String(request.headers['webhook-id']));
    response.end();
  }).listen(0, '127.0.0.1');
  await board.goto('/webhooks');
  const name = `hook-${newDevice()}`;
  await board.getByText('New webhook').click();
  await board.getByLabel('Name').fill(name);
  await board.getByLabel('Address').fill(`http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/`);
  await board.getByRole('button', { name: 'Make it' }).click();
  await expect(board.getByText('shown this once')).toContainText('whsec_');
  await board.getByRole('button', { name: `Test ${name}` }).click();
  const deliveries = board.getByRole('list', { name: `Deliveries of ${name}` });
  await expect(deliveries.getByText('delivered')).toBeVisible();
  expect(posted).toHaveLength(1);
  await deliveries.locator('summary').click();
  await expect(deliveries.getByRole('list', { name: 'Attempts' })).toContainText('200');
  await deliveries.getByRole('button', { name: 'Send again' }).click();
  await expect.poll(() => posted).toHaveLength(2);
  endpoint.close();
});

test('the trace of a notification is one click away', async ({ board }) => {
  const device = newDevice();
  await publish(device, HOT);
  await notificationOf(device);
  await board.goto(`/notifications?device_id=${device}`);
  await expect(board.getByRole('link', { name: 'Trace' })).toHaveAttribute('href', /^http:\/\/traces\.example\/[0-9a-f]{32}$/);
});

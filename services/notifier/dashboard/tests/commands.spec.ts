import { ask, expect, heardOf, newDevice, test } from './suite';

// Simulated lamps: the first says that it cannot, the second obeys.
const STUCK = 'lamp-001';
const OBEDIENT = 'lamp-002';

test('a command is sent, and what becomes of it is there without a reload', async ({ board }) => {
  const device = STUCK;
  await heardOf(device);
  // The third failure in a row, sent below, opens its breaker.
  for (const speed of [1, 2]) await ask('POST', '/commands', { device_id: device, name: 'set', arguments: { speed }, desired_state: { speed } });
  await board.goto(`/devices/${device}`);
  const items = board.getByRole('list', { name: `Commands to ${device}` }).locator('[data-command]');
  await expect(items).toHaveCount(2);
  // What its breaker is stands above the form: a click while it appears misses.
  await expect(board.getByText(/^Breaker/)).toBeVisible();
  await board.getByText('Send a command').click();
  await board.getByRole('textbox', { name: /^Command/ }).fill('set');
  await board.getByRole('textbox', { name: /^Arguments/ }).fill('[3]');
  await board.getByRole('button', { name: 'Send it' }).click();
  await expect(board.locator('form').getByRole('alert')).toContainText('What is given is not a JSON object.');
  await board.getByRole('textbox', { name: /^Arguments/ }).fill('{"speed": 3}');
  await board.getByRole('textbox', { name: /^Desired state/ }).fill('{"speed": 3}');
  await board.getByRole('button', { name: 'Send it' }).click();

  await expect(items).toHaveCount(3);
  const item = items.first();
  await expect(item).toContainText('{"speed":3}');
  await expect(item).toHaveAttribute('data-state', 'FAILED');
  await expect(board.getByText('Breaker open')).toBeVisible();
  await item.locator('summary').click();
  await expect(item.getByRole('list', { name: /^History/ })).toContainText('failed, attempt 1, breaker open: the actuator does not move');
  await expect(board.getByRole('region', { name: 'Open notifications' })).toContainText(`${device}: command set failed`);
});

test('a scene is run, and its members are watched until all of them are over', async ({ board }) => {
  const unknown = newDevice();
  const name = `scene-${unknown}`;
  await heardOf(OBEDIENT);
  await ask('PUT', `/scenes/${name}`, { members: [OBEDIENT, unknown].map((device_id) => ({ device_id, name: 'set', arguments: { on: true } })) });
  await board.goto('/scenes');
  await board.getByRole('button', { name: `Run scene ${name}` }).click();
  await expect(board).toHaveURL(/run=/);
  const members = board.getByRole('list', { name: 'Members' }).locator('[data-command]');
  await expect(members).toHaveCount(2);
  await expect(members.first()).toHaveAttribute('data-state', 'VERIFIED');
  await expect(board.getByRole('status').filter({ hasText: '1 verified, 1 refused' })).toBeVisible();
  await ask('DELETE', `/scenes/${name}`);
});

// The running suite: devices that publish, the API beside the page, and a page that is signed in and must not complain.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test as base, type Page } from '@playwright/test';

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run services/notifier/tests/dashboard.sh`);
  return value;
}

export const API = setting('FIELDWATCH_API');
const KEY = readFileSync(setting('FIELDWATCH_KEY_FILE'), 'utf8').trim();
const MQTT_PORT = setting('FIELDWATCH_MQTT_PORT');
export const FIELDCTL = setting('FIELDWATCH_FIELDCTL');
export const run = promisify(execFile);

let device = 0;
/** A device that nobody has heard of. */
export const newDevice = (): string => `probe-${process.pid}-${++device}`;

/** Publishes a reading as any device does; answers when it was measured, in milliseconds since 1970. */
export async function publish(device_id: string, temperature: number): Promise<number> {
  const measured = Date.now();
  const reading = JSON.stringify({ device_id, temperature, timestamp: measured / 1_000 });
  await run('mosquitto_pub', ['-h', '127.0.0.1', '-p', MQTT_PORT, '-q', '1', '-t', 'iot/sensor/temperature', '-m', reading]);
  return measured;
}

/** Puts a judgement of a device into its topic, as the group stage of anomaly-detector does after weeks with a group. */
export async function judge(device_id: string, judged: { metric: string; state: string; weight: number; residual: number; since: number }): Promise<void> {
  const event = { tenant: 'default', device_id, group_id: 'hall', changed_at: judged.since * 1_000, metrics: [{ ...judged, since: judged.since * 1_000 }] };
  const folder = mkdtempSync(join(tmpdir(), 'sensor-health-'));
  try {
    writeFileSync(join(folder, 'sensor-health-1.json'), JSON.stringify(event));
    await run(FIELDCTL, ['golden', 'publish', '--dir', folder, '--event', 'sensor-health']);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Too warm: there is a notification at once. */
export const HOT = 31.5;

export async function ask<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
  const headers = { authorization: `Bearer ${KEY}`, ...(body !== undefined && { 'content-type': 'application/json' }) };
  const response = await fetch(`${API}/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export interface Notification {
  notification_id: string;
  version: number;
  state: string;
  title: string;
}

/** Answers once the API knows the device. */
export async function heardOf(device_id: string): Promise<void> {
  await expect(async () => void (await ask('GET', `/devices/${device_id}`))).toPass({ timeout: 15_000, intervals: [100] });
}

/** The notification of a device, once the API has it. */
export async function notificationOf(device_id: string): Promise<Notification> {
  let found: Notification | undefined;
  await expect(async () => {
    const { data } = await ask<{ data: Notification[] }>('GET', `/notifications?device_id=${device_id}`);
    found = data[0];
    expect(found).toBeDefined();
  }).toPass({ timeout: 15_000, intervals: [100] });
  return found!;
}

/** In the list. */
export const itemOf = (page: Page, device_id: string) => page.locator('[data-notification]').filter({ has: page.getByRole('link', { name: device_id, exact: true }) });

export async function signIn(page: Page, address: string): Promise<void> {
  await page.goto(address);
  const field = page.getByLabel('API key');
  await field.fill(KEY);
  await field.press('Enter');
  await expect(page.getByRole('status').filter({ hasText: 'live' })).toBeVisible();
}

/** `board` is a page that is signed in; whatever it logs as an error or asks of anyone else fails the test. */
export const test = base.extend<{ board: Page; tolerated: RegExp[] }>({
  tolerated: [[], { option: true }],
  board: async ({ page, baseURL, tolerated }, use) => {
    const complaints: string[] = [];
    const note = (text: string) => tolerated.some((expected) => expected.test(text)) || complaints.push(text);
    page.on('console', (message) => message.type() === 'error' && note(message.text()));
    page.on('pageerror', (error) => note(String(error)));
    page.on('request', (request) => request.url().startsWith(baseURL ?? '') || note(`asked ${request.url()}`));
    await signIn(page, '/notifications');
    await use(page);
    expect(complaints).toEqual([]);
  },
});

export { expect };

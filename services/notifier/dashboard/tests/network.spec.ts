import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { API, ask, expect, HOT, itemOf, newDevice, notificationOf, publish, signIn, test } from './suite';

/** A network that can be cut: every connection ends, and there are no new ones. */
class Network {
  #server!: Server;
  #port = 0;
  readonly #open = new Set<Socket>();

  async up(): Promise<string> {
    const { hostname, port } = new URL(API);
    this.#server = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const socket of [near, far]) {
        this.#open.add(socket);
        socket.on('error', () => socket.destroy()).on('close', () => this.#open.delete(socket));
      }
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((listening) => this.#server.listen(this.#port, '127.0.0.1', listening));
    this.#port = (this.#server.address() as AddressInfo).port;
    return `http://127.0.0.1:${this.#port}`;
  }

  async cut(): Promise<void> {
    const closed = new Promise((done) => this.#server.close(done));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }
}

interface Told {
  type: string;
  id: string;
  version: number;
}

test('a network that is cut and comes back leaves no gap: what happened meanwhile is caught up with, each version once', async ({ page }) => {
  const network = new Network();
  const address = await network.up();
  // Notes what the stream tells, as the page hears it.
  await page.addInitScript(() => {
    const told: Told[] = [];
    Object.assign(window, { told });
    const Source = window.EventSource;
    window.EventSource = class extends Source {
      constructor(url: string | URL) {
        super(url);
        for (const type of ['snapshot', 'gap', 'notification']) {
          this.addEventListener(type, ({ data }) => {
            const { notification_id: id = '', version = 0 } = JSON.parse(data) as { notification_id?: string; version?: number };
            told.push({ type, id, version });
          });
        }
      }
    };
  });
  const told = () => page.evaluate(() => (window as unknown as { told: Told[] }).told);
  const connection = page.locator('.connection');

  await signIn(page, `${address}/notifications`);
  const [before, changed] = [newDevice(), newDevice()];
  for (const device of [before, changed]) {
    await publish(device, HOT);
    await expect(itemOf(page, device)).toBeVisible();
  }
  await network.cut();
  await expect(connection).toHaveText('reconnecting');

  const meanwhile = Array.from({ length: 5 }, newDevice);
  for (const device of meanwhile) await publish(device, HOT);
  for (const device of meanwhile) await notificationOf(device);
  const { notification_id: resolved } = await notificationOf(before);
  await ask('POST', `/notifications/${resolved}/resolve`);
  const { notification_id: busy } = await notificationOf(changed);
  for (const action of ['acknowledge', 'unacknowledge', 'acknowledge']) await ask('POST', `/notifications/${busy}/${action}`);
  await expect(connection).toHaveText('reconnecting');
  await expect(itemOf(page, meanwhile[0]!)).toHaveCount(0);

  await network.up();
  await expect(connection).toHaveText('live', { timeout: 30_000 });
  for (const device of meanwhile) await expect(itemOf(page, device)).toBeVisible();
  await expect(itemOf(page, before)).toHaveCount(0);
  await expect(itemOf(page, changed)).toHaveAttribute('data-state', 'ACKNOWLEDGED');

  const events = await told();
  expect(events.filter(({ type }) => type !== 'notification').map(({ type }) => type)).toEqual(['snapshot']);
  expect(events.filter(({ id }) => id === busy).map(({ version }) => version)).toEqual([1, 2, 3, 4]);
  await network.cut();
});

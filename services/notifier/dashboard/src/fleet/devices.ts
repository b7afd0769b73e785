// Every device of the tenant as it was heard of last: read page by page, then kept current by the stream.

import { signal } from '@preact/signals';
import { answered, api, reason, type Device } from '../api/client';
import { LiveStream } from '../api/stream';
import { deviceStream } from '../api/tickets';

const PAGE = 200;
/** How often what has come is shown; a fleet of thousands tells something every millisecond. */
const SHOWN_EVERY = 250;

const NAMES = new Intl.Collator('en', { numeric: true });

export class Devices {
  /** Changes with every change of what is known. */
  readonly revision = signal(0);
  readonly loading = signal(true);
  readonly problem = signal('');
  readonly #known = new Map<string, Device>();
  readonly #stream: LiveStream;
  #sorted: string[] = [];
  #waiting = 0;
  #shownAt = -SHOWN_EVERY;
  #reading = 0;

  constructor() {
    // At once, and again when the stream is open: what changed in between is in no stream.
    void this.#read();
    this.#stream = new LiveStream({
      address: () => deviceStream(),
      events: { device: (data) => this.#take(data as Device), gap: () => void this.#read() },
      // There is no coming back to a place in this stream: what was missed is in the pages.
      opened: () => void this.#read(),
    });
  }

  /** By name. Only a new device has them sorted again: that takes long for thousands. */
  all(): Device[] {
    if (this.#sorted.length !== this.#known.size) this.#sorted = [...this.#known.keys()].sort(NAMES.compare);
    return this.#sorted.flatMap((id) => this.#known.get(id) ?? []);
  }

  close(): void {
    this.#reading += 1;
    clearTimeout(this.#waiting);
    this.#stream.close();
  }

  async #read(): Promise<void> {
    const reading = ++this.#reading;
    try {
      let cursor: string | undefined;
      do {
        const query = { limit: PAGE, ...(cursor && { cursor }) };
        const page = await answered(api.GET('/v1/devices', { params: { query } }));
        if (reading !== this.#reading) return;
        page.data.forEach((device) => this.#take(device));
        cursor = page.next_cursor ?? undefined;
      } while (cursor);
      this.problem.value = '';
    } catch (thrown) {
      this.problem.value = reason(thrown);
    }
    this.loading.value = false;
  }

  #take(device: Device): void {
    const before = this.#known.get(device.device_id);
    // A page may have been written before what the stream has told since.
    if (before && (before.received_at ?? '') > (device.received_at ?? '')) return;
    this.#known.set(device.device_id, device);
    this.#waiting ||= window.setTimeout(() => {
      this.#waiting = 0;
      this.#shownAt = performance.now();
      this.revision.value += 1;
    }, this.#shownAt + SHOWN_EVERY - performance.now());
  }
}

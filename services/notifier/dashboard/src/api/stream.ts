// A server-sent stream that stays: opened with a ticket, because an EventSource cannot send a key, and taken up again
// where it was. The browser comes back by itself while the ticket is good; otherwise there is a new ticket.

import { signal } from '@preact/signals';
import { Problem } from './client';

export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'closed';

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 15_000;

export interface StreamOptions {
  /** Makes a ticket and answers the address it opens. */
  address: () => Promise<string>;
  /** What is done with each kind of event. */
  events: Record<string, (data: unknown) => void>;
  /** At each time it is open, the first included. */
  opened?: () => void;
}

export class LiveStream {
  readonly state = signal<StreamState>('connecting');
  #source: EventSource | null = null;
  #lastEventId = '';
  #pause = FIRST_PAUSE;
  #retry = 0;
  readonly #options: StreamOptions;

  constructor(options: StreamOptions) {
    this.#options = options;
    addEventListener('online', this.#now);
    addEventListener('offline', this.#lost);
    void this.#connect();
  }

  close(): void {
    removeEventListener('online', this.#now);
    removeEventListener('offline', this.#lost);
    clearTimeout(this.#retry);
    this.#source?.close();
    this.state.value = 'closed';
  }

  readonly #now = (): void => {
    if (this.state.peek() === 'reconnecting') void this.#connect();
  };

  // The connection may look open for minutes after the network has gone.
  readonly #lost = (): void => this.#later();

  #later(): void {
    this.#source?.close();
    this.state.value = 'reconnecting';
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => void this.#connect(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#retry);
    this.#source?.close();
    let address: string;
    try {
      address = await this.#options.address();
    } catch (thrown) {
      const refused = thrown instanceof Problem && (thrown.status === 401 || thrown.status === 403);
      if (this.state.peek() !== 'closed' && !refused) this.#later();
      return;
    }
    if (this.state.peek() === 'closed') return;
    const resumed = this.#lastEventId && `&last_event_id=${encodeURIComponent(this.#lastEventId)}`;
    const source = new EventSource(address + resumed);
    this.#source = source;
    source.onopen = () => {
      this.#pause = FIRST_PAUSE;
      this.state.value = 'live';
      this.#options.opened?.();
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) this.#later();
      else this.state.value = 'reconnecting';
    };
    for (const [name, take] of Object.entries(this.#options.events)) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        if (event.lastEventId) this.#lastEventId = event.lastEventId;
        take(JSON.parse(event.data));
      });
    }
  }
}

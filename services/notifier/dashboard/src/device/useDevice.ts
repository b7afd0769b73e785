// One device, kept current by its stream: what it was last heard of, and its readings as they come.

import { signal, type Signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { answered, api, reason, type Device, type Reading } from '../api/client';
import { LiveStream } from '../api/stream';
import { deviceStream } from '../api/tickets';
import { withReading, type Point } from './course';

export class LiveDevice {
  readonly device = signal<Device | null>(null);
  readonly problem = signal('');
  readonly #readings = new Map<string, Signal<readonly Point[]>>();
  readonly #id: string;
  readonly #stream: LiveStream;

  constructor(id: string) {
    this.#id = id;
    this.#stream = new LiveStream({
      address: () => deviceStream([id]),
      events: {
        device: (data) => this.#take(data as Device),
        reading: (data) => this.#takeReading(data as Reading),
        gap: () => void this.#read(),
      },
      opened: () => void this.#read(),
    });
  }

  readings(metric: string): Signal<readonly Point[]> {
    const known = this.#readings.get(metric) ?? signal<readonly Point[]>([]);
    this.#readings.set(metric, known);
    return known;
  }

  close(): void {
    this.#stream.close();
  }

  async #read(): Promise<void> {
    try {
      const device = await answered(api.GET('/v1/devices/{id}', { params: { path: { id: this.#id } } }));
      this.#take(device);
      this.problem.value = '';
    } catch (thrown) {
      this.problem.value = reason(thrown);
    }
  }

  /** Its sparklines are the readings from before the stream. */
  #take(device: Device): void {
    this.device.value = device;
    for (const { metric, sparkline, sparkline_at } of device.metrics) {
      const readings = this.readings(metric);
      if (!sparkline_at || readings.peek().length > sparkline.length) continue;
      const points = sparkline.map((value, index) => ({ at: Date.parse(sparkline_at[index] ?? ''), value }));
      readings.value = points.filter(({ at }) => at > 0).reduce(withReading, readings.peek());
    }
  }

  #takeReading({ metric, value, measured_at }: Reading): void {
    const readings = this.readings(metric);
    readings.value = withReading(readings.peek(), { at: Date.parse(measured_at), value });
  }
}

export function useDevice(id: string): LiveDevice {
  const [live] = useState(() => new LiveDevice(id));
  useEffect(() => () => live.close(), []);
  return live;
}

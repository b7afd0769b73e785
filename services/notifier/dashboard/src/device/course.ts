// A metric's course as the plot draws it: windows as far as there are any, then the readings since.

import type { AlignedData } from 'uplot';
import type { Window } from '../api/client';

export interface Point {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly value: number;
}

/** Windows, and how long each of them is. */
export interface History {
  readonly windows: readonly Window[];
  /** Milliseconds. */
  readonly step: number;
}

export const NO_HISTORY: History = { windows: [], step: 60_000 };

/** Time in seconds, value, lowest, highest, expected, band's lower and upper end, value where it was anomalous. */
export const COLUMNS = 8;
type Row = readonly (number | null)[];

/** A line is not drawn across so many steps without a value. */
const GAP = 2.5;

export function courseOf({ windows, step }: History, readings: readonly Point[]): AlignedData {
  const rows: Row[] = [];
  let last = -Infinity;
  const add = (at: number, ...values: (number | null)[]) => {
    if (at - last > GAP * step && rows.length > 0) rows.push([(last + step) / 1_000, ...Array<null>(COLUMNS - 1).fill(null)]);
    rows.push([at / 1_000, ...values]);
    last = at;
  };
  let end = -Infinity;
  for (const window of windows) {
    const start = Date.parse(window.at);
    const { mean, min, max, expected, band_low, band_high, anomaly_id } = window;
    add(start + step / 2, mean, min, max, expected ?? null, band_low ?? null, band_high ?? null, anomaly_id ? mean : null);
    end = start + step;
  }
  for (const { at, value } of readings) if (at >= end && at > last) add(at, value, null, null, null, null, null, null);
  return Array.from({ length: COLUMNS }, (_, column) => rows.map((row) => row[column] ?? null)) as unknown as AlignedData;
}

/** Readings kept beyond the windows; one a second for an hour. */
const MOST = 3_600;

/** In the order they were measured in, each once. */
export function withReading(readings: readonly Point[], reading: Point): readonly Point[] {
  const last = readings.at(-1);
  if (!last || reading.at > last.at) return [...readings.slice(1 - MOST), reading];
  if (readings.some(({ at }) => at === reading.at)) return readings;
  return [...readings, reading].sort((a, b) => a.at - b.at);
}

/** What the picture says, for who does not see it. */
export function inWords(course: AlignedData, unit: string): string {
  const values = (course[1] as readonly (number | null)[]).filter((value) => value !== null);
  if (values.length === 0) return 'no values';
  const anomalous = (course[7] as readonly (number | null)[]).filter((value) => value !== null).length;
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  const text = (value: number) => `${value.toFixed(2)} ${unit}`.trim();
  return `from ${text(least)} to ${text(most)}, last ${text(values.at(-1) ?? 0)}, ${anomalous || 'no'} anomalous points`;
}

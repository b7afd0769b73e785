// Which stretch of time a plot shows: the last so many minutes, moving with the clock, or a fixed one. Said by the address.

const MINUTE = 60_000;
export const PRESETS = { '15m': 15 * MINUTE, '1h': 60 * MINUTE, '6h': 360 * MINUTE, '24h': 1_440 * MINUTE, '7d': 10_080 * MINUTE } as const;
export type Preset = keyof typeof PRESETS;
const SHORTEST = 2 * MINUTE;

export interface Range {
  /** Milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Null when fixed. */
  readonly preset: Preset | null;
}

export function rangeOf(query: URLSearchParams, now: number): Range {
  const from = Date.parse(query.get('from') ?? '');
  const to = Date.parse(query.get('to') ?? '');
  if (from < to) return { from, to, preset: null };
  const asked = query.get('range') ?? '';
  const preset = asked in PRESETS ? (asked as Preset) : '1h';
  return { from: now - PRESETS[preset], to: now, preset };
}

/** What the address says of it. */
export function queryOf({ from, to, preset }: Range): { range: string; from: string; to: string } {
  if (preset) return { range: preset, from: '', to: '' };
  return { range: '', from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

/** By a share of its width; to the right ends with now. */
export function panned(range: Range, share: number, now: number): Range {
  const width = range.to - range.from;
  const to = Math.min(range.to + width * share, now);
  return { from: to - width, to, preset: null };
}

/** `factor` below 1 shows less and more closely; `about` stays where it is. */
export function zoomed(range: Range, factor: number, now: number, about = (range.from + range.to) / 2): Range {
  const width = Math.max(SHORTEST, Math.min((range.to - range.from) * factor, 366 * 1_440 * MINUTE));
  const share = (about - range.from) / (range.to - range.from);
  const to = Math.min(about + width * (1 - share), now);
  return { from: to - width, to, preset: null };
}

// Times and numbers as people read them. `now` moves once a second. Formats are made once: that takes longer than using them.

import { signal } from '@preact/signals';

export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 1_000);

const UNITS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });

export function ago(time: string | number): string {
  const seconds = (new Date(time).getTime() - now.value) / 1_000;
  if (Math.abs(seconds) < 1) return 'now';
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
  return relative.format(Math.trunc(seconds / size), unit);
}

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
export const moment = (time: string | number): string => MOMENT.format(new Date(time));

/** Units as UCUM writes them, and as people do. */
const SYMBOLS: Record<string, string> = { Cel: '°C', '[degF]': '°F', '%': '%', '1': '' };
export const unitSymbol = (unit: string): string => SYMBOLS[unit] ?? unit;

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const HUNDREDTHS = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });

export function number(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) return value.toExponential(2);
  return (size >= 1_000 ? WHOLE : HUNDREDTHS).format(value);
}

export const quantity = (value: number, unit: string): string => `${number(value)} ${unitSymbol(unit)}`.trim();

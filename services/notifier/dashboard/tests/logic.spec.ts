// What is decided without a page.
import { expect, test } from '@playwright/test';
import type { Device, Notification, Window } from '../src/api/client';
import { courseOf, inWords, withReading, type Point } from '../src/device/course';
import { marksOf } from '../src/device/marks';
import { panned, rangeOf, zoomed } from '../src/device/range';
import { latestFirst } from '../src/notifications/filter';

const MINUTE = 60_000;
const window = (minute: number, mean: number, anomaly_id: string | null = null) =>
  ({ at: new Date(minute * MINUTE).toISOString(), mean, min: mean - 1, max: mean + 1, expected: mean, band_low: mean - 2, band_high: mean + 2, anomaly_id }) as Window;

test('readings go on where windows end, and a silence is a gap in the line', () => {
  const readings = [1.5, 2.5, 9].map((minute): Point => ({ at: minute * MINUTE, value: minute }));
  const course = courseOf({ windows: [window(0, 20), window(1, 21, 'a')], step: MINUTE }, readings);
  expect(course[0]).toEqual([30, 90, 150, 210, 540]);
  expect(course[1]).toEqual([20, 21, 2.5, null, 9]);
  expect(course[7]).toEqual([null, 21, null, null, null]);
  expect(inWords(course, '°C')).toBe('from 2.50 °C to 21.00 °C, last 9.00 °C, 1 anomalous points');
});

test('a reading is kept once, at its time', () => {
  const readings = [3, 1, 2, 3].map((at): Point => ({ at, value: at })).reduce(withReading, [] as readonly Point[]);
  expect(readings.map(({ at }) => at)).toEqual([1, 2, 3]);
});

test('alerts, anomalies and drift are marked from their beginning to their end', () => {
  const device = {
    device_id: 'a',
    health: { metrics: [{ metric: 'temperature', state: 'DRIFTING', weight: 0.4, since: new Date(5_000).toISOString() }] },
  } as Device;
  const told = (kind: string, device_id: string, resolved_at: string | null) =>
    ({ kind, device_id, title: kind, severity: 'CRITICAL', opened_at: new Date(1_000).toISOString(), resolved_at }) as Notification;
  const notifications = [told('alert', 'a', new Date(2_000).toISOString()), told('anomaly', 'a', null), told('alert', 'b', null), told('external', 'a', null)];
  const marks = marksOf(device, 'temperature', notifications).map(({ kind, from, to }) => [kind, from, to]);
  expect(marks).toEqual([['alert', 1_000, 2_000], ['anomaly', 1_000, null], ['drift', 5_000, null]]);
  expect(marksOf(device, 'humidity', []).length).toBe(0);
});

test('a range comes from the address, and never reaches beyond now', () => {
  const now = 10_000 * MINUTE;
  expect(rangeOf(new URLSearchParams('range=6h'), now)).toEqual({ from: now - 360 * MINUTE, to: now, preset: '6h' });
  expect(rangeOf(new URLSearchParams('range=nonsense'), now).preset).toBe('1h');
  const hour = rangeOf(new URLSearchParams(), now);
  expect(panned(hour, 0.5, now)).toEqual({ ...hour, preset: null });
  expect(panned(hour, -0.5, now)).toEqual({ from: now - 90 * MINUTE, to: now - 30 * MINUTE, preset: null });
  expect(zoomed(hour, 0.5, now)).toEqual({ from: now - 45 * MINUTE, to: now - 15 * MINUTE, preset: null });
  expect(zoomed(hour, 4, now).to).toBe(now);
  expect(zoomed(hour, 1e-9, now).to - zoomed(hour, 1e-9, now).from).toBe(2 * MINUTE);
});

test('lists are in the order of the API', () => {
  const of = (opened_at: string, notification_id: string) => ({ opened_at, notification_id }) as Notification;
  const sorted = [of('2026-01-01', 'a'), of('2026-01-02', 'a'), of('2026-01-01', 'b')].sort(latestFirst);
  expect(sorted.map(({ opened_at, notification_id }) => opened_at + notification_id)).toEqual(['2026-01-02a', '2026-01-01b', '2026-01-01a']);
});

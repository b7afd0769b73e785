// Which devices are shown, and in what order: said by the address.

import type { Device, DeviceState, HealthState } from '../api/client';

export const STATUSES: readonly DeviceState[] = ['ONLINE', 'OFFLINE', 'UNKNOWN', 'RETIRED'];
export const HEALTHS: readonly HealthState[] = ['HEALTHY', 'DRIFTING', 'STUCK', 'UNKNOWN'];
export const ORDERS = ['device', 'trouble', 'value', 'seen'] as const;
export type Order = (typeof ORDERS)[number];

export interface Selection {
  readonly q: string;
  readonly status: readonly string[];
  readonly health: readonly string[];
  readonly group: string;
  readonly order: Order;
}

export function selectionOf(query: URLSearchParams): Selection {
  return {
    q: query.get('q') ?? '',
    status: query.getAll('status'),
    health: query.getAll('health'),
    group: query.get('group_id') ?? '',
    order: ORDERS.find((order) => order === query.get('order')) ?? 'device',
  };
}

export const statusOf = (device: Device): DeviceState => device.status?.state ?? 'UNKNOWN';
export const healthOf = (device: Device): HealthState => device.health?.state ?? 'UNKNOWN';

/** Devices come by name; sorting keeps that order where it makes no difference. */
export function select(devices: readonly Device[], selection: Selection): Device[] {
  const text = selection.q.toLowerCase();
  const oneOf = (wanted: readonly string[], value: string) => wanted.length === 0 || wanted.includes(value);
  const chosen = devices.filter(
    (device) =>
      oneOf(selection.status, statusOf(device)) &&
      oneOf(selection.health, healthOf(device)) &&
      (!selection.group || device.group_id === selection.group) &&
      (!text || device.device_id.toLowerCase().includes(text) || (device.group_id ?? '').toLowerCase().includes(text)),
  );
  const compare = COMPARE[selection.order];
  return compare ? chosen.sort(compare) : chosen;
}

const WORST: Record<string, number> = { STUCK: 3, DRIFTING: 2, OFFLINE: 2, UNKNOWN: 1 };

const trouble = (device: Device): number =>
  (device.unresolved_notifications > 0 ? 10 : 0) + Math.max(WORST[healthOf(device)] ?? 0, WORST[statusOf(device)] ?? 0);

const COMPARE: Partial<Record<Order, (a: Device, b: Device) => number>> = {
  trouble: (a, b) => trouble(b) - trouble(a),
  value: (a, b) => (b.metrics[0]?.value ?? -Infinity) - (a.metrics[0]?.value ?? -Infinity) || 0,
  seen: (a, b) => ((a.received_at ?? '') < (b.received_at ?? '') ? 1 : (a.received_at ?? '') > (b.received_at ?? '') ? -1 : 0),
};

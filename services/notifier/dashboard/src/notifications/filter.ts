// Which notifications are shown: said by the address, asked of the API, and applied to what the stream brings.

import type { Notification } from '../api/client';

export const STATES = ['OPEN', 'ACKNOWLEDGED', 'SNOOZED', 'RESOLVED'] as const;
export const SEVERITIES = ['CRITICAL', 'WARNING', 'INFO'] as const;
export const KINDS = ['alert', 'anomaly', 'sensor-health', 'device-offline', 'pipeline', 'external', 'command'] as const;
type ListedState = (typeof STATES)[number];
type ListedSeverity = (typeof SEVERITIES)[number];

const UNRESOLVED: readonly ListedState[] = ['OPEN', 'ACKNOWLEDGED', 'SNOOZED'];

export interface Filter {
  readonly state: readonly ListedState[];
  readonly severity: readonly ListedSeverity[];
  readonly kind: readonly string[];
  readonly device_id: readonly string[];
  readonly q: string;
}

/** What no state is asked for shows what is unresolved. */
export function filterOf(query: URLSearchParams): Filter {
  const listed = <T extends string>(name: string, known: readonly T[]) => known.filter((value) => query.getAll(name).includes(value));
  const state = listed('state', STATES);
  return {
    state: state.length > 0 ? state : UNRESOLVED,
    severity: listed('severity', SEVERITIES),
    kind: query.getAll('kind'),
    device_id: query.getAll('device_id'),
    q: query.get('q') ?? '',
  };
}

export const ofDevice = (id: string): Filter => ({ state: UNRESOLVED, severity: [], kind: [], device_id: [id], q: '' });

/** As the API does it. */
export function matches(notification: Notification, filter: Filter): boolean {
  const oneOf = (wanted: readonly string[], value: string | null | undefined) => wanted.length === 0 || wanted.includes(value ?? '');
  return (
    oneOf(filter.state, notification.state) &&
    oneOf(filter.severity, notification.severity) &&
    oneOf(filter.kind, notification.kind) &&
    oneOf(filter.device_id, notification.device_id) &&
    contains(notification, filter.q.toLowerCase())
  );
}

const contains = (notification: Notification, text: string) =>
  [notification.title, notification.body, notification.device_id ?? ''].some((part) => part.toLowerCase().includes(text));

/** The order of lists: opened last first, then by id. */
export const latestFirst = (a: Notification, b: Notification): number =>
  compare(b.opened_at, a.opened_at) || compare(b.notification_id, a.notification_id);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

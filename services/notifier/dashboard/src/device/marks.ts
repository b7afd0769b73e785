// What is marked on a plot besides its values: when there were alerts, anomalies, and a sensor not to be trusted.

import type { Device, Notification } from '../api/client';

export interface Mark {
  readonly kind: 'alert' | 'anomaly' | 'drift';
  readonly critical: boolean;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly from: number;
  /** Null: it goes on. */
  readonly to: number | null;
}

export function marksOf(device: Device | null, metric: string, notifications: Iterable<Notification>): Mark[] {
  const marks: Mark[] = [];
  for (const notification of notifications) {
    const kind = notification.kind;
    if (notification.device_id !== device?.device_id || (kind !== 'alert' && kind !== 'anomaly')) continue;
    marks.push({
      kind,
      critical: notification.severity === 'CRITICAL',
      text: notification.title,
      from: Date.parse(notification.opened_at),
      to: notification.resolved_at ? Date.parse(notification.resolved_at) : null,
    });
  }
  const health = device?.health?.metrics.find((one) => one.metric === metric);
  if (health && (health.state === 'DRIFTING' || health.state === 'STUCK')) {
    marks.push({ kind: 'drift', critical: health.state === 'STUCK', text: health.state.toLowerCase(), from: Date.parse(health.since), to: null });
  }
  return marks;
}

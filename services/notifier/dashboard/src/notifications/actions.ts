// What people do with notifications, and how each is taken back.

import { answered, api, Problem, reason, type Notification } from '../api/client';
import { tell, warn } from '../shell/notices';
import { take } from './live';

export type Action = 'acknowledge' | 'unacknowledge' | 'snooze' | 'unsnooze' | 'resolve' | 'reopen';

const BACK: Record<Action, Action> = {
  acknowledge: 'unacknowledge',
  unacknowledge: 'acknowledge',
  snooze: 'unsnooze',
  unsnooze: 'snooze',
  resolve: 'reopen',
  reopen: 'resolve',
};
const DONE: Record<Action, string> = {
  acknowledge: 'Acknowledged',
  unacknowledge: 'No longer acknowledged',
  snooze: 'Snoozed',
  unsnooze: 'No longer snoozed',
  resolve: 'Resolved',
  reopen: 'Reopened',
};

/** What makes sense of a notification as it is. */
export function actionsOf({ state }: Notification): readonly Action[] {
  switch (state) {
    case 'RESOLVED':
      return ['reopen'];
    case 'ACKNOWLEDGED':
      return ['unacknowledge', 'snooze', 'resolve'];
    case 'SNOOZED':
      return ['acknowledge', 'unsnooze', 'resolve'];
    default:
      return ['acknowledge', 'snooze', 'resolve'];
  }
}

/** Does it to one, as it was seen: what changed meanwhile is left alone. */
export async function act(notification: Notification, action: Action, until?: string): Promise<void> {
  try {
    await change(notification, action, until);
    tell(`${DONE[action]}: ${notification.title}`, () => restore([notification], action));
  } catch (thrown) {
    const stale = thrown instanceof Problem && thrown.status === 412;
    warn(stale ? 'It has just changed; look again.' : reason(thrown));
  }
}

async function change({ notification_id: id, version }: Notification, action: Action, until?: string): Promise<void> {
  const params = { path: { id }, header: { 'If-Match': `"${version}"` } };
  const asked =
    action === 'snooze'
      ? api.POST('/v1/notifications/{id}/snooze', { params, body: { until } })
      : api.POST(`/v1/notifications/{id}/${action}`, { params });
  take(await answered(asked));
}

/** Does it to many; says of how many, and why not of the others. */
export async function actOnMany(notifications: readonly Notification[], action: Action, until?: string): Promise<void> {
  const possible = notifications.filter((notification) => actionsOf(notification).includes(action));
  if (possible.length === 0) return warn(`None of these can be ${DONE[action].toLowerCase()}.`);
  try {
    const { done, refused } = await changeMany(possible, action, until);
    if (done.length > 0) tell(`${DONE[action]}: ${done.length} notifications`, () => restore(done, action));
    if (refused.length > 0) warn(`${refused.length} were refused: ${refused[0]}`);
  } catch (thrown) {
    warn(reason(thrown));
  }
}

interface Outcome {
  done: Notification[];
  refused: string[];
}

/** At most so many in one request. */
const BULK = 200;

async function changeMany(notifications: readonly Notification[], action: Action, until?: string): Promise<Outcome> {
  const outcome: Outcome = { done: [], refused: [] };
  for (let start = 0; start < notifications.length; start += BULK) {
    const some = notifications.slice(start, start + BULK);
    const notification_ids = some.map((notification) => notification.notification_id);
    const { data } = await answered(api.POST('/v1/notifications/bulk', { body: { action, notification_ids, ...(until && { until }) } }));
    data.forEach((item, index) => {
      const before = some[index];
      if (before && item.status === 200) outcome.done.push(before);
      else outcome.refused.push(item.detail ?? `status ${item.status}`);
    });
  }
  return outcome;
}

/** Brings them back to what they were: out of the state they got into, and into the one they had. */
async function restore(before: readonly Notification[], action: Action): Promise<void> {
  const back = BACK[action];
  const reversed = back === 'snooze' ? before : (await changeMany(before, back)).done;
  const acknowledged = back === 'acknowledge' ? [] : reversed.filter(({ state }) => state === 'ACKNOWLEDGED');
  if (acknowledged.length > 0) await changeMany(acknowledged, 'acknowledge');
  for (const notification of reversed.filter(({ state }) => state === 'SNOOZED')) {
    await changeMany([notification], 'snooze', notification.snoozed_until ?? undefined);
  }
  if (reversed.length < before.length) throw new Problem(409, `${before.length - reversed.length} had changed meanwhile and were left alone.`);
}

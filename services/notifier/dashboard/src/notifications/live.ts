// All notifications this page knows of: what the stream brings, and what lists were asked for. Of each the highest version
// stays, whatever order answers and events come in.

import { effect, signal } from '@preact/signals';
import { answered, api, type CommandNews, type Counts, type Notification, type Snapshot } from '../api/client';
import { LiveStream } from '../api/stream';
import { notificationStream } from '../api/tickets';
import { missed, take as takeNews } from '../commands/live';
import { key } from '../shell/session';
import type { Filter } from './filter';

const known = new Map<string, Notification>();
/** Changes with every change of what is known. */
export const revision = signal(0);
export const counts = signal<Counts | null>(null);
/** Grows when what was known before cannot be relied on: lists have to be asked for again. */
export const restarts = signal(0);
export const stream = signal<LiveStream | null>(null);

export const all = (): Iterable<Notification> => known.values();
export const find = (id: string): Notification | undefined => known.get(id);

/** Whether it is news. */
function keep(notification: Notification): boolean {
  const before = known.get(notification.notification_id);
  if (before && before.version >= notification.version) return false;
  known.set(notification.notification_id, notification);
  return true;
}

export function take(...notifications: readonly Notification[]): void {
  if (notifications.map(keep).includes(true)) redraw();
}

let drawing = false;
/** Once a frame, however many changes come: a stream that catches up brings thousands at once. */
function redraw(): void {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    revision.value += 1;
  });
}

function begin(snapshot: Snapshot): void {
  known.clear();
  snapshot.notifications.forEach(keep);
  counts.value = snapshot.counts;
  restarts.value += 1;
  redraw();
}

/** Streams for as long as there is a key. */
export function follow(): void {
  effect(() => {
    known.clear();
    counts.value = null;
    if (!key.value) return;
    const live = new LiveStream({
      address: notificationStream,
      events: {
        snapshot: (data) => begin(data as Snapshot),
        notification: (data) => take(data as Notification),
        counts: (data) => {
          counts.value = data as Counts;
        },
        command: (data) => takeNews(data as CommandNews),
        gap: missed,
      },
      opened: missed,
    });
    stream.value = live;
    return () => {
      live.close();
      stream.value = null;
    };
  });
}

/** Asks for a page of a list and keeps it; answers what comes after it and where it ends. */
export async function page(filter: Filter, limit: number, cursor?: string): Promise<{ next: string | null; last: Notification | null }> {
  const { state, severity, kind, device_id, q } = filter;
  const query = { state: [...state], severity: [...severity], kind: [...kind], device_id: [...device_id], ...(q && { q }), ...(cursor && { cursor }), limit };
  const { data, next_cursor } = await answered(api.GET('/v1/notifications', { params: { query } }));
  take(...data);
  return { next: next_cursor ?? null, last: data.at(-1) ?? null };
}

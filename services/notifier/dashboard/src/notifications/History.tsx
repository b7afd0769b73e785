import { useEffect, useState } from 'preact/hooks';
import { answered, api, reason, type Notification, type NotificationEvent } from '../api/client';
import { ago, moment } from '../shell/time';
import { Trace } from './Trace';

/** The audit log of a notification: who did what, when and why. */
export function History({ notification: { notification_id: id, version } }: { notification: Notification }) {
  const [events, setEvents] = useState<readonly NotificationEvent[]>([]);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    let current = true;
    wholeHistory(id)
      .then((found) => current && setEvents(found))
      .catch((thrown: unknown) => current && setProblem(reason(thrown)));
    return () => {
      current = false;
    };
  }, [id, version]);
  return (
    <ol class="history" aria-label="History">
      {problem && <li role="alert">{problem}</li>}
      {events.map((event) => (
        <li key={event.version}>
          <time dateTime={event.at} title={moment(event.at)}>
            {ago(event.at)}
          </time>
          <span>
            <strong>{event.change.action.replaceAll('_', ' ')}</strong> by {event.change.actor}
            {event.change.reason && <> – {event.change.reason}</>}
          </span>
          <span class="severity" data-severity={event.severity}>
            {event.severity.toLowerCase()}
          </span>
          <Trace id={event.change.trace_id} />
        </li>
      ))}
    </ol>
  );
}

async function wholeHistory(id: string): Promise<NotificationEvent[]> {
  const events: NotificationEvent[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: 200, ...(cursor && { cursor }) };
    const page = await answered(api.GET('/v1/notifications/{id}/events', { params: { path: { id }, query } }));
    events.push(...page.data);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return events;
}

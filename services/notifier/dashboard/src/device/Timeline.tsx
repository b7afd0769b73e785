import { useEffect, useState } from 'preact/hooks';
import { answered, api, reason, type TimelineEntry } from '../api/client';
import { all, revision } from '../notifications/live';
import { ago, moment } from '../shell/time';

const PAGE = 20;

/** What happened to a device, latest first: changes of its connection and of its notifications. */
export function Timeline({ id, changed }: { id: string; changed?: string }) {
  const [entries, setEntries] = useState<readonly TimelineEntry[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [problem, setProblem] = useState('');
  const read = (cursor?: string) => {
    const query = { limit: PAGE, ...(cursor && { cursor }) };
    answered(api.GET('/v1/devices/{id}/timeline', { params: { path: { id }, query } }))
      .then((page) => {
        setEntries((before) => (cursor ? [...before, ...page.data] : page.data));
        setNext(page.next_cursor ?? null);
        setProblem('');
      })
      .catch((thrown: unknown) => setProblem(reason(thrown)));
  };
  useEffect(() => read(), [id, changed, useLatestChange(id)]);
  return (
    <>
      {problem && <p role="alert">{problem}</p>}
      <ol class="timeline">
        {entries.map((entry) => (
          <li key={keyOf(entry)} data-type={entry.type} data-status={entry.type === 'status' ? entry.state : undefined}>
            <time dateTime={entry.at} title={moment(entry.at)}>
              {ago(entry.at)}
            </time>
            <What entry={entry} />
          </li>
        ))}
      </ol>
      {entries.length === 0 && !problem && <p class="faint">Nothing yet.</p>}
      {next && (
        <button type="button" class="more" onClick={() => read(next)}>
          Earlier
        </button>
      )}
    </>
  );
}

function What({ entry }: { entry: TimelineEntry }) {
  if (entry.type === 'status') {
    return (
      <span>
        <span class="device-status" data-status={entry.state}>
          {entry.state.toLowerCase()}
        </span>
        {entry.reason && <span class="faint"> {entry.reason.replaceAll('_', ' ')}</span>}
      </span>
    );
  }
  return (
    <span>
      <span class="severity" data-severity={entry.severity}>
        {entry.severity.toLowerCase()}
      </span>{' '}
      {entry.title}
      <span class="faint">
        {' '}
        {entry.change.action.replaceAll('_', ' ')} by {entry.change.actor}
      </span>
    </span>
  );
}

const keyOf = (entry: TimelineEntry): string => (entry.type === 'status' ? `${entry.at} ${entry.state}` : `${entry.notification_id} ${entry.version}`);

/** Moves when a notification of the device got another version. */
function useLatestChange(id: string): number {
  const changed = revision.value > 0 ? [...all()].filter(({ device_id }) => device_id === id) : [];
  return changed.reduce((sum, { version }) => sum + version, 0);
}

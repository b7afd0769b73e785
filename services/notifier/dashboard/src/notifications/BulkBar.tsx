import type { Notification } from '../api/client';
import { actionsOf, actOnMany, type Action } from './actions';
import { SnoozeMenu } from './SnoozeMenu';

interface Bulk {
  shown: readonly Notification[];
  selected: ReadonlySet<string>;
  select: (selected: ReadonlySet<string>) => void;
}

const TEXTS: readonly [Action, string][] = [
  ['acknowledge', 'Acknowledge'],
  ['resolve', 'Resolve'],
  ['reopen', 'Reopen'],
];

export function BulkBar({ shown, selected, select }: Bulk) {
  const chosen = shown.filter(({ notification_id }) => selected.has(notification_id));
  const every = chosen.length > 0 && chosen.length === shown.length;
  const act = (action: Action, until?: string) => {
    void actOnMany(chosen, action, until);
    select(new Set());
  };
  const possible = (action: Action) => chosen.some((notification) => actionsOf(notification).includes(action));
  return (
    <div class="bulk" role="group" aria-label="Many at once">
      <label>
        <input
          type="checkbox"
          checked={every}
          disabled={shown.length === 0}
          onChange={() => select(new Set(every ? [] : shown.map(({ notification_id }) => notification_id)))}
        />
        {chosen.length > 0 ? `${chosen.length} selected` : 'Select all shown'}
      </label>
      {chosen.length > 0 && (
        <>
          {TEXTS.filter(([action]) => possible(action)).map(([action, text]) => (
            <button key={action} type="button" onClick={() => act(action)}>
              {text}
            </button>
          ))}
          {possible('snooze') && <SnoozeMenu snooze={(until) => act('snooze', until)} />}
        </>
      )}
    </div>
  );
}

import { useState } from 'preact/hooks';
import type { Notification } from '../api/client';
import { deviceAddress } from '../shell/place';
import { mayWrite } from '../shell/session';
import { ago, moment } from '../shell/time';
import { actionsOf, act, type Action } from './actions';
import { History } from './History';
import { SnoozeMenu } from './SnoozeMenu';
import { Trace } from './Trace';

interface Item {
  notification: Notification;
  /** Where the Tab key enters the list. */
  first: boolean;
  selected?: boolean;
  toggle?: (id: string) => void;
}

export function NotificationItem({ notification, first, selected, toggle }: Item) {
  const { notification_id: id, severity, state, title, device_id: device } = notification;
  const heading = `title-${id}`;
  return (
    <li
      data-notification={id}
      data-severity={severity}
      data-state={state}
      aria-labelledby={heading}
      tabIndex={first ? 0 : -1}
    >
      <div class="head">
        {toggle && <input type="checkbox" aria-label={`Select: ${title}`} checked={selected} onChange={() => toggle(id)} />}
        <span class="severity" data-severity={severity}>
          {severity.toLowerCase()}
        </span>
        <strong class="title" id={heading}>
          {title}
        </strong>
        <time dateTime={notification.opened_at} title={moment(notification.opened_at)}>
          {ago(notification.opened_at)}
        </time>
      </div>
      <p class="body">{notification.body}</p>
      <p class="facts">
        <span class="state">{state.toLowerCase()}</span>
        <span>{notification.kind}</span>
        {device && <a href={deviceAddress(device)}>{device}</a>}
        {notification.group_id && <span>{notification.group_id}</span>}
        {notification.occurrences > 1 && <span>{notification.occurrences} times</span>}
        <Circumstance notification={notification} />
        {notification.suppressed_by && <span>kept quiet by {notification.suppressed_by}</span>}
      </p>
      <div class="actions">
        {mayWrite.value && <Actions notification={notification} />}
        <Runbook address={notification.links.runbook} />
        <Trace id={notification.change.trace_id} address={notification.links.trace} />
      </div>
      <HistoryFold notification={notification} />
    </li>
  );
}

/** Who has it, or until when it is quiet. */
function Circumstance({ notification: { state, acknowledged_by: by, snoozed_until: until, resolved_at: resolved } }: { notification: Notification }) {
  if (state === 'SNOOZED' && until) return <span title={moment(until)}>quiet, ends {ago(until)}</span>;
  if (state === 'RESOLVED' && resolved) return <span title={moment(resolved)}>ended {ago(resolved)}</span>;
  return by ? <span>acknowledged by {by}</span> : null;
}

const TEXTS: Record<Action, string> = {
  acknowledge: 'Acknowledge',
  unacknowledge: 'Unacknowledge',
  snooze: 'Snooze',
  unsnooze: 'End snooze',
  resolve: 'Resolve',
  reopen: 'Reopen',
};

function Actions({ notification }: { notification: Notification }) {
  const [busy, setBusy] = useState(false);
  const run = async (action: Action, until?: string) => {
    setBusy(true);
    await act(notification, action, until);
    setBusy(false);
  };
  return (
    <>
      {actionsOf(notification).map((action) =>
        action === 'snooze' ? (
          <SnoozeMenu key={action} label={`Snooze: ${notification.title}`} snooze={(until) => void run('snooze', until)} />
        ) : (
          <button
            key={action}
            type="button"
            data-action={action}
            aria-disabled={busy}
            aria-label={`${TEXTS[action]}: ${notification.title}`}
            onClick={() => void (busy || run(action))}
          >
            {TEXTS[action]}
          </button>
        ),
      )}
    </>
  );
}

function Runbook({ address }: { address?: string }) {
  if (!address || !/^https?:\/\//.test(address)) return null;
  return (
    <a href={address} rel="noreferrer noopener" target="_blank">
      Runbook
    </a>
  );
}

function HistoryFold({ notification }: { notification: Notification }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>History</summary>
      {open && <History notification={notification} />}
    </details>
  );
}

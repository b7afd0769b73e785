import { useMemo, useState } from 'preact/hooks';
import { ask, place } from '../shell/place';
import { Chips } from '../shell/Chips';
import { Search } from '../shell/Search';
import { mayWrite } from '../shell/session';
import { BulkBar } from './BulkBar';
import { filterOf, KINDS, SEVERITIES, STATES } from './filter';
import { KeyHelp } from './keyboard';
import { counts } from './live';
import { NotificationList } from './NotificationList';
import { useList } from './useList';

export function NotificationsPage() {
  const { query } = place.value;
  const filter = useMemo(() => filterOf(query), [query]);
  const list = useList(filter);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const device = filter.device_id[0];
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Notifications</h1>
        <Severities />
      </div>
      <div class="filters" role="search" aria-label="Notifications">
        <Search label="Search title, text or device" value={filter.q} change={(q) => ask({ q })} />
        <Chips label="State" values={STATES} chosen={filter.state} change={(state) => ask({ state })} />
        <Chips label="Severity" values={SEVERITIES} chosen={filter.severity} change={(severity) => ask({ severity })} />
        <select aria-label="Kind" value={filter.kind[0] ?? ''} onChange={(event) => ask({ kind: event.currentTarget.value })}>
          <option value="">every kind</option>
          {KINDS.map((kind) => (
            <option key={kind}>{kind}</option>
          ))}
        </select>
        {device && (
          <button type="button" class="chip" aria-pressed="true" onClick={() => ask({ device_id: '' })}>
            {device} ×
          </button>
        )}
      </div>
      {mayWrite.value && <BulkBar shown={list.shown} selected={selected} select={setSelected} />}
      <NotificationList list={list} label="Notifications" selection={mayWrite.value ? { selected, select: setSelected } : undefined} />
      <KeyHelp />
    </>
  );
}

function Severities() {
  const bySeverity = counts.value?.by_severity;
  if (!bySeverity) return null;
  return (
    <ul class="severities" aria-label="Unresolved by severity">
      {SEVERITIES.map((severity) => (
        <li key={severity} data-severity={severity}>
          {bySeverity[severity]} {severity.toLowerCase()}
        </li>
      ))}
    </ul>
  );
}

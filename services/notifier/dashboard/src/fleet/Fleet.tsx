import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Device } from '../api/client';
import { Chips } from '../shell/Chips';
import { ask, place } from '../shell/place';
import { Search } from '../shell/Search';
import { DeviceTable } from './DeviceTable';
import { Devices } from './devices';
import { healthOf, HEALTHS, ORDERS, select, selectionOf, STATUSES, statusOf, type Order } from './selection';

const ORDER_TEXTS: Record<Order, string> = {
  device: 'by name',
  trouble: 'trouble first',
  value: 'highest value first',
  seen: 'heard of last first',
};

export function Fleet() {
  const [devices] = useState(() => new Devices());
  useEffect(() => () => devices.close(), []);
  const revision = devices.revision.value;
  const all = useMemo(() => devices.all(), [revision]);
  const { query } = place.value;
  const selection = useMemo(() => selectionOf(query), [query]);
  const shown = useMemo(() => select(all, selection), [all, selection]);
  const groups = useMemo(() => [...new Set(all.map((device) => device.group_id ?? ''))].filter(Boolean).sort(), [all]);
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Fleet</h1>
        <Summary all={all} shown={shown.length} loading={devices.loading.value} />
      </div>
      <div class="filters" role="search" aria-label="Devices">
        <Search label="Search device or group" value={selection.q} change={(q) => ask({ q })} />
        <Chips label="Status" values={STATUSES} chosen={selection.status} change={(status) => ask({ status })} />
        <Chips label="Health" values={HEALTHS} chosen={selection.health} change={(health) => ask({ health })} text={healthText} />
        <select aria-label="Group" value={selection.group} onChange={(event) => ask({ group_id: event.currentTarget.value })}>
          <option value="">every group</option>
          {groups.map((group) => (
            <option key={group}>{group}</option>
          ))}
        </select>
        <select aria-label="Order" value={selection.order} onChange={(event) => ask({ order: event.currentTarget.value })}>
          {ORDERS.map((order) => (
            <option key={order} value={order}>
              {ORDER_TEXTS[order]}
            </option>
          ))}
        </select>
      </div>
      {devices.problem.value && <p role="alert">{devices.problem.value}</p>}
      <DeviceTable devices={shown} />
      {shown.length === 0 && !devices.loading.value && <p class="empty">No device is like that.</p>}
    </>
  );
}

/** The same word is a status. */
const healthText = (health: string) => (health === 'UNKNOWN' ? 'health unknown' : health.toLowerCase());

function Summary({ all, shown, loading }: { all: readonly Device[]; shown: number; loading: boolean }) {
  const count = (found: (device: Device) => boolean) => all.filter(found).length;
  const online = count((device) => statusOf(device) === 'ONLINE');
  const troubled = count((device) => ['DRIFTING', 'STUCK'].includes(healthOf(device)));
  const notified = count((device) => device.unresolved_notifications > 0);
  return (
    <p class="summary" aria-busy={loading}>
      <strong>{shown === all.length ? all.length : `${shown} of ${all.length}`}</strong> devices
      <span class="faint">
        {online} online · {notified} with notifications · {troubled} drifting or stuck
        {loading && ' · reading…'}
      </span>
    </p>
  );
}

import type { Device } from '../api/client';
import { healthOf, statusOf } from '../fleet/selection';
import { ofDevice } from '../notifications/filter';
import { NotificationList } from '../notifications/NotificationList';
import { useList } from '../notifications/useList';
import { ago, moment, quantity } from '../shell/time';
import { Commands } from './Commands';
import { Course } from './Course';
import { Health } from './Health';
import { Timeline } from './Timeline';
import { useDevice } from './useDevice';

export function DevicePage({ id }: { id: string }) {
  const live = useDevice(id);
  const device = live.device.value;
  const problem = live.problem.value;
  return (
    <>
      <div class="page-head">
        <p class="crumb">
          <a href="/">Fleet</a>
        </p>
        <h1 tabIndex={-1}>{id}</h1>
        {device && <Standing device={device} />}
      </div>
      {problem && <p role="alert">{problem}</p>}
      <Course live={live} id={id} />
      <div class="columns">
        <div class="column">
          <section class="card" aria-labelledby="open-heading">
            <h2 id="open-heading">Open notifications</h2>
            <OpenNotifications id={id} />
          </section>
          <section class="card" aria-labelledby="commands-heading">
            <h2 id="commands-heading">Commands</h2>
            <Commands id={id} />
          </section>
        </div>
        <div class="column">
          <section class="card" aria-labelledby="health-heading">
            <h2 id="health-heading">Sensor health</h2>
            <Health device={device} />
          </section>
          <section class="card" aria-labelledby="timeline-heading">
            <h2 id="timeline-heading">Timeline</h2>
            <Timeline id={id} changed={device?.status?.changed_at} />
          </section>
        </div>
      </div>
    </>
  );
}

function Standing({ device }: { device: Device }) {
  const { status, metrics, group_id: group, received_at: received } = device;
  return (
    <p class="standing">
      {metrics.map(({ metric, value, unit }) => (
        <span key={metric} class="last-value" title={metric}>
          <strong>{quantity(value, unit)}</strong>
        </span>
      ))}
      <span class="device-status" data-status={statusOf(device)} title={status ? `${status.reason}, ${moment(status.changed_at)}` : undefined}>
        {statusOf(device).toLowerCase()}
      </span>
      <span class="device-health" data-health={healthOf(device)}>
        {healthOf(device) === 'UNKNOWN' ? 'health unknown' : healthOf(device).toLowerCase()}
      </span>
      {group && <a href={`/?group_id=${encodeURIComponent(group)}`}>{group}</a>}
      {received && (
        <span class="faint">
          heard of <time dateTime={received}>{ago(received)}</time>
        </span>
      )}
    </p>
  );
}

function OpenNotifications({ id }: { id: string }) {
  const list = useList(ofDevice(id));
  return (
    <>
      <NotificationList list={list} label={`Open notifications of ${id}`} />
      <p>
        <a href={`/notifications?device_id=${encodeURIComponent(id)}&state=OPEN&state=ACKNOWLEDGED&state=SNOOZED&state=RESOLVED`}>All of them, the resolved too</a>
      </p>
    </>
  );
}

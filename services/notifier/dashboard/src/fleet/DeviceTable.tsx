import { memo } from 'preact/compat';
import type { Device } from '../api/client';
import { deviceAddress } from '../shell/place';
import { ago, moment, quantity } from '../shell/time';
import { useMedia } from '../shell/useMedia';
import { Sparkline } from './Sparkline';
import { healthOf, statusOf } from './selection';
import { useWindow } from './useWindow';

/** As in fleet.css. */
const ROW = 52;
const NARROW_ROW = 84;

export function DeviceTable({ devices }: { devices: readonly Device[] }) {
  const rowHeight = useMedia('(max-width: 44rem)') ? NARROW_ROW : ROW;
  const { element, first, end } = useWindow(devices.length, rowHeight);
  return (
    <div class="devices" role="table" aria-label="Devices" aria-rowcount={devices.length + 1}>
      <div role="rowgroup" class="device-head">
        <div role="row" class="device-row" aria-rowindex={1}>
          {['Device', 'Status', 'Health', 'Last value', 'Last values', 'Open', 'Heard of'].map((name) => (
            <span key={name} role="columnheader">
              {name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="device-rows" ref={element} style={{ height: `${devices.length * rowHeight}px` }}>
        {devices.slice(first, end).map((device, index) => (
          <Row key={device.device_id} device={device} index={first + index} top={(first + index) * rowHeight} />
        ))}
      </div>
    </div>
  );
}

const Row = memo(function Row({ device, index, top }: { device: Device; index: number; top: number }) {
  const status = statusOf(device);
  const health = healthOf(device);
  const reading = device.metrics[0];
  const { device_id: id, unresolved_notifications: open } = device;
  return (
    <div role="row" class="device-row" data-device={id} aria-rowindex={index + 2} style={{ transform: `translateY(${top}px)` }}>
      <span role="cell" class="device-name">
        <a href={deviceAddress(id)}>{id}</a>
        {device.group_id && <small>{device.group_id}</small>}
      </span>
      <span role="cell" class="device-status" data-status={status} title={device.status ? `${device.status.reason}, ${moment(device.status.changed_at)}` : undefined}>
        {status.toLowerCase()}
      </span>
      <span role="cell" class="device-health" data-health={health}>
        {health.toLowerCase()}
        {device.health?.weight != null && device.health.weight < 1 && <small>weight {device.health.weight.toFixed(2)}</small>}
      </span>
      <span role="cell" class="device-value" title={reading && `${reading.metric}, ${moment(reading.measured_at)}`}>
        {reading && quantity(reading.value, reading.unit)}
        {device.metrics.length > 1 && <small>and {device.metrics.length - 1} more</small>}
      </span>
      <span role="cell" class="device-course">
        <Sparkline values={reading?.sparkline ?? []} />
      </span>
      <span role="cell" class="device-open">
        {open > 0 && (
          <a class="badge" data-severity="WARNING" href={`/notifications?device_id=${encodeURIComponent(id)}`} aria-label={`${open} open notifications of ${id}`}>
            {open}
          </a>
        )}
      </span>
      <span role="cell" class="device-seen faint">
        {device.received_at && <Seen at={device.received_at} />}
      </span>
    </div>
  );
});

/** By itself, so that a second that passes does not draw the row again. */
function Seen({ at }: { at: string }) {
  return (
    <time dateTime={at} title={moment(at)}>
      {ago(at)}
    </time>
  );
}

import { useEffect, useMemo } from 'preact/hooks';
import { STATES } from '../notifications/filter';
import { all, page, restarts, revision } from '../notifications/live';
import { Chips } from '../shell/Chips';
import { ask, place } from '../shell/place';
import { now, unitSymbol } from '../shell/time';
import { courseOf } from './course';
import { marksOf } from './marks';
import { Plot } from './Plot';
import { panned, PRESETS, queryOf, rangeOf, zoomed, type Preset, type Range } from './range';
import type { LiveDevice } from './useDevice';
import { useHistory } from './useHistory';

const EVERY = Object.keys(PRESETS) as Preset[];

/** The history of one of a device's metrics, with what happened marked on it. */
export function Course({ live, id }: { live: LiveDevice; id: string }) {
  const { query } = place.value;
  const device = live.device.value;
  const metrics = device?.metrics.map(({ metric }) => metric) ?? [];
  const metric = query.get('metric') ?? metrics[0];
  const range = rangeOf(query, now.value);
  const { history, problem } = useHistory(id, metric, range);
  const readings = live.readings(metric ?? '').value;
  const course = useMemo(() => courseOf(history, readings), [history, readings]);
  const marks = useMarks(live, id, metric);
  const unit = unitSymbol(device?.metrics.find((one) => one.metric === metric)?.unit ?? '');
  const choose = (chosen: Range) => ask(queryOf(chosen));
  const preset = (chosen?: Preset) => ask({ range: chosen ?? '', from: '', to: '' });
  return (
    <section class="card course" aria-label="History">
      <div class="course-head">
        {metrics.length > 1 ? (
          <Chips label="Metric" values={metrics} chosen={[metric ?? '']} change={(chosen) => ask({ metric: chosen.find((one) => one !== metric) ?? '' })} />
        ) : (
          <h2>{metric ?? 'No readings'}</h2>
        )}
        <div class="chips" role="group" aria-label="Range">
          {EVERY.map((one) => (
            <button key={one} type="button" class="chip" aria-pressed={range.preset === one} onClick={() => preset(one)}>
              {one}
            </button>
          ))}
        </div>
        <div class="chips" role="group" aria-label="Move">
          <Step text="◀" label="Earlier" move={() => choose(panned(range, -0.5, Date.now()))} />
          <Step text="▶" label="Later" move={() => choose(panned(range, 0.5, Date.now()))} />
          <Step text="+" label="Zoom in" move={() => choose(zoomed(range, 0.5, Date.now()))} />
          <Step text="−" label="Zoom out" move={() => choose(zoomed(range, 2, Date.now()))} />
          <button type="button" class="chip live" aria-pressed={range.preset !== null} onClick={() => preset()}>
            live
          </button>
        </div>
      </div>
      {problem && <p role="alert">{problem}</p>}
      <Plot course={course} marks={marks} range={range} unit={unit} choose={choose} reset={() => preset()} />
    </section>
  );
}

function Step({ text, label, move }: { text: string; label: string; move: () => void }) {
  return (
    <button type="button" class="chip" aria-label={label} title={label} onClick={move}>
      {text}
    </button>
  );
}

/** Of the device's last 200 notifications, whatever their state. */
function useMarks(live: LiveDevice, id: string, metric: string | undefined) {
  const restart = restarts.value;
  useEffect(() => {
    page({ state: STATES, severity: [], kind: ['alert', 'anomaly'], device_id: [id], q: '' }, 200).catch(() => undefined); // The list beside it says so.
  }, [id, restart]);
  const change = revision.value;
  const device = live.device.value;
  return useMemo(() => marksOf(device, metric ?? '', all()), [device, metric, change]);
}

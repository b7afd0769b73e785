import uPlot, { type AlignedData } from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { systemIsDark, theme } from '../shell/theme';
import { moment, quantity } from '../shell/time';
import { options } from './chart';
import { inWords } from './course';
import type { Mark } from './marks';
import { paletteOf } from './palette';
import { panned, zoomed, type Range } from './range';

interface Shown {
  course: AlignedData;
  marks: readonly Mark[];
  range: Range;
  unit: string;
  /** A stretch was chosen, by pointer or by key. */
  choose: (range: Range) => void;
  /** Back to what moves with the clock. */
  reset: () => void;
}

export function Plot({ course, marks, range, unit, choose, reset }: Shown) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ marks, range, choose, reset });
  latest.current = { marks, range, choose, reset };
  const [pointed, setPointed] = useState<number | null>(null);
  const colours = `${theme.value} ${systemIsDark.value}`;

  useEffect(() => {
    const container = element.current!;
    const made = new uPlot(
      options(container.clientWidth, paletteOf(container), {
        marks: () => latest.current.marks,
        selected: (from, to) => latest.current.choose({ from, to, preset: null }),
        pointed: setPointed,
      }),
      course,
      container,
    );
    plot.current = made;
    show(made, course, latest.current.range);
    const resized = new ResizeObserver(() => made.setSize({ width: container.clientWidth, height: made.height }));
    resized.observe(container);
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      const { range: current, choose: chosen } = latest.current;
      const about = made.posToVal(event.clientX - made.over.getBoundingClientRect().left, 'x') * 1_000;
      chosen(zoomed(current, (event.deltaY || event.deltaX) > 0 ? 1.3 : 1 / 1.3, Date.now(), about));
    };
    const whole = () => latest.current.reset();
    made.over.addEventListener('wheel', wheel, { passive: false });
    made.over.addEventListener('dblclick', whole);
    return () => {
      resized.disconnect();
      made.destroy();
    };
  }, [colours]);

  useEffect(() => {
    if (plot.current) show(plot.current, course, range);
  }, [course, marks, range.from, range.to]);

  const onKeyDown = (event: KeyboardEvent) => {
    const change = KEYS[event.key];
    if (!change || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    choose(change(range));
  };
  return (
    <>
      <div
        ref={element}
        class="plot"
        role="img"
        tabIndex={0}
        aria-label={`${inWords(course, unit)}; ${marks.length} marks`}
        aria-keyshortcuts="ArrowLeft ArrowRight + -"
        onKeyDown={onKeyDown}
      />
      <Readout course={course} index={pointed} unit={unit} />
    </>
  );
}

const KEYS: Record<string, (range: Range) => Range> = {
  ArrowLeft: (range) => panned(range, -0.25, Date.now()),
  ArrowRight: (range) => panned(range, 0.25, Date.now()),
  '+': (range) => zoomed(range, 0.5, Date.now()),
  '-': (range) => zoomed(range, 2, Date.now()),
};

function show(plot: uPlot, course: AlignedData, { from, to }: Range): void {
  plot.batch(() => {
    plot.setData(course, false);
    plot.setScale('x', { min: from / 1_000, max: to / 1_000 });
  });
}

/** What is under the pointer, else what was last. */
function Readout({ course, index, unit }: { course: AlignedData; index: number | null; unit: string }) {
  const at = (column: number) => (index === null ? lastOf(course[column]) : (course[column]?.[index] ?? null));
  const value = (column: number) => {
    const found = at(column);
    return found === null ? '–' : quantity(found, unit);
  };
  const time = at(0);
  return (
    <dl class="readout" aria-hidden="true">
      <div data-line="value">
        <dt>value</dt>
        <dd>{value(1)}</dd>
      </div>
      <div data-line="expected">
        <dt>expected</dt>
        <dd>{value(4)}</dd>
      </div>
      <div data-line="band">
        <dt>band</dt>
        <dd>{at(5) === null ? '–' : `${value(5)} to ${value(6)}`}</dd>
      </div>
      <div data-line="anomaly">
        <dt>anomaly</dt>
      </div>
      <div data-line="alert">
        <dt>alert</dt>
      </div>
      <div data-line="drift">
        <dt>drift</dt>
      </div>
      <div class="when">
        <dd>{time === null ? '' : index === null ? 'last' : moment(time * 1_000)}</dd>
      </div>
    </dl>
  );
}

const lastOf = (column?: ArrayLike<number | null | undefined>): number | null =>
  Array.from(column ?? []).findLast((value) => value != null) ?? null;

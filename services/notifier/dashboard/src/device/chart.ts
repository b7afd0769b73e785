// How uPlot draws a course and what is marked on it.

import uPlot from 'uplot';
import type { Mark } from './marks';
import type { Palette } from './palette';

export interface Chart {
  /** Read at every drawing. */
  marks: () => readonly Mark[];
  /** A stretch was drawn over, in milliseconds since 1970. */
  selected: (from: number, to: number) => void;
  /** The point under the pointer; null: none. */
  pointed: (index: number | null) => void;
}

const HEIGHT = 320;
const NARROW = 480;

export function options(width: number, palette: Palette, chart: Chart): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: palette.faint,
    grid: { stroke: palette.line, width: 1 },
    ticks: { stroke: palette.line, width: 1 },
    font: '12px system-ui, sans-serif',
  };
  const hidden = { stroke: 'transparent', width: 0, points: { show: false } };
  return {
    width,
    height: width < NARROW ? HEIGHT * 0.75 : HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false, dist: 6 }, points: { size: 7 } },
    scales: { x: { time: true }, y: { range: (_, least, most) => padded(least, most) } },
    axes: [{ ...axis, values: (_, times, __, ___, step) => times.map((time) => tick(time, step)) }, { ...axis, size: 52 }],
    series: [
      {},
      { stroke: palette.accent, width: 2, points: { show: false } },
      hidden,
      hidden,
      { stroke: palette.expected, width: 1, dash: [4, 4], points: { show: false } },
      hidden,
      hidden,
      { stroke: palette.anomaly, width: 0, paths: () => null, points: { show: true, size: 9, fill: palette.anomaly, stroke: palette.anomaly } },
    ],
    bands: [
      { series: [6, 5], fill: palette.band },
      { series: [3, 2], fill: palette.spread },
    ],
    hooks: {
      drawClear: [(plot) => drawMarks(plot, palette, chart.marks())],
      setSelect: [
        (plot) => {
          const { left, width: wide } = plot.select;
          if (wide > 0) chart.selected(plot.posToVal(left, 'x') * 1_000, plot.posToVal(left + wide, 'x') * 1_000);
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [(plot) => chart.pointed(plot.cursor.idx ?? null)],
    },
  };
}

const HOUR = 3_600;
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const seconds = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** As fine as the ticks are apart; midnight is the day it begins. */
function tick(time: number, step: number): string {
  const at = new Date(time * 1_000);
  if (step >= 24 * HOUR || (step >= 60 && at.getHours() === 0 && at.getMinutes() === 0)) return day.format(at);
  return (step < 60 ? seconds : clock).format(at);
}

/** A steady value is a line in the middle, not one at the edge. */
function padded(least: number | null, most: number | null): [number, number] {
  if (least === null || most === null) return [0, 1];
  const room = Math.max((most - least) * 0.1, Math.abs(most) * 0.002, 0.05);
  return [least - room, most + room];
}

/** Alerts over the whole height, anomalies and drift as strips above and below: they may hold at the same time. */
function drawMarks(plot: uPlot, palette: Palette, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot;
  const strip = 6 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const mark of marks) {
    const left = plot.valToPos(mark.from / 1_000, 'x', true);
    const right = plot.valToPos((mark.to ?? Date.now()) / 1_000, 'x', true);
    const width = Math.max(right - left, devicePixelRatio);
    if (mark.kind === 'alert') {
      ctx.fillStyle = mark.critical ? palette.critical : palette.warning;
      ctx.globalAlpha = 0.14;
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.globalAlpha = 0.9;
      ctx.fillRect(left, bbox.top, devicePixelRatio, bbox.height);
    } else {
      ctx.globalAlpha = 0.9;
      ctx.fillStyle = mark.kind === 'anomaly' ? palette.anomaly : palette.drift;
      ctx.fillRect(left, mark.kind === 'anomaly' ? bbox.top : bbox.top + bbox.height - strip, width, strip);
    }
  }
  ctx.restore();
}

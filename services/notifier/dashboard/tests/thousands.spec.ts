// The last of all: its devices stay.
import { expect, FIELDCTL, run, test } from './suite';

test('a list of 5,000 devices stays smooth', async ({ board }) => {
  test.setTimeout(180_000);
  await run(FIELDCTL, ['simulate', '--devices', '5000', '--prefix', 'many', '--count', '10000', '--into', 'telemetry.readings.v1']);
  await board.goto('/?q=many-');
  await expect(board.getByText(/^5000 of \d+ devices/)).toBeVisible({ timeout: 60_000 });
  const frames = await board.evaluate(
    () =>
      new Promise<{ times: number[]; rows: number; blank: number }>((done) => {
        const times: number[] = [];
        let last = performance.now();
        let rows = 0;
        let blank = 0;
        const step = (now: number) => {
          times.push(now - last);
          last = now;
          const shown = document.querySelectorAll('[data-device]');
          rows = Math.max(rows, shown.length);
          if (![...shown].some((row) => row.getBoundingClientRect().top >= 0 && row.getBoundingClientRect().top < innerHeight)) blank += 1;
          if (times.length > 240) return done({ times: times.slice(1), rows, blank });
          scrollBy(0, times.length % 60 === 0 ? 40_000 : 90);
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      }),
  );
  const sorted = frames.times.sort((a, b) => a - b);
  const percentile = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  console.log(`frames: p50 ${percentile(0.5).toFixed(1)} ms, p95 ${percentile(0.95).toFixed(1)} ms; ${frames.rows} rows at most in the page`);
  expect(frames.rows).toBeLessThan(60);
  expect(frames.blank).toBeLessThan(5);
  expect(percentile(0.5)).toBeLessThan(34);

  await board.goto('/?q=many-4999');
  await expect(board.locator('[data-device]')).toHaveCount(1);
});

import { useEffect, useRef, useState } from 'preact/hooks';
import { answered, api, reason } from '../api/client';
import { NO_HISTORY, type History } from './course';
import type { Range } from './range';

/** While a range is still being chosen nothing is asked. */
const SETTLED = 200;

interface Told {
  readonly history: History;
  readonly problem: string;
}

/** The windows of a range; of one that moves with the clock again whenever there is a new window. */
export function useHistory(id: string, metric: string | undefined, range: Range): Told {
  const [told, setTold] = useState<Told>({ history: NO_HISTORY, problem: '' });
  const asked = useRef('');
  const step = Math.max(told.history.step, 10_000);
  const wanted = range.preset ? `${range.preset} ${Math.floor(range.to / step)}` : `${range.from} ${range.to}`;
  useEffect(() => {
    if (!metric) return;
    const question = `${metric} ${wanted}`;
    const changed = asked.current !== '';
    asked.current = question;
    const timer = setTimeout(
      () => {
        read(id, metric, range)
          .then((history) => ({ history, problem: '' }))
          .catch((thrown: unknown) => ({ history: NO_HISTORY, problem: reason(thrown) }))
          .then((answer) => {
            if (asked.current === question) setTold(answer);
          });
      },
      changed ? SETTLED : 0,
    );
    return () => clearTimeout(timer);
  }, [id, metric, wanted]);
  return told;
}

async function read(id: string, metric: string, range: Range): Promise<History> {
  const query = { metric, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
  const { data, step } = await answered(api.GET('/v1/devices/{id}/history', { params: { path: { id }, query } }));
  return { windows: data, step: milliseconds(step) };
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `5m`, `1h 30m` */
export function milliseconds(duration: string): number {
  return [...duration.matchAll(/(\d+)(ms|s|m|h|d)/g)].reduce((sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0), 0);
}

import { useCallback, useEffect, useState } from 'preact/hooks';
import { reason } from '../api/client';

export interface Asked<T> {
  /** Undefined until there is an answer. */
  readonly answer: T | undefined;
  readonly problem: string;
  /** Asks again. */
  readonly again: () => void;
}

/** What the API answers; asked again when `wanted` changes, and every so many milliseconds. */
export function useAnswer<T>(wanted: string, question: () => Promise<T>, every?: number): Asked<T> {
  const [told, setTold] = useState<{ answer?: T; problem: string }>({ problem: '' });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let current = true;
    question()
      .then((answer) => current && setTold({ answer, problem: '' }))
      .catch((thrown: unknown) => current && setTold((before) => ({ ...before, problem: reason(thrown) })));
    return () => {
      current = false;
    };
  }, [wanted, turn]);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    if (!every) return;
    const timer = setInterval(() => document.hidden || again(), every);
    return () => clearInterval(timer);
  }, [every]);
  return { answer: told.answer, problem: told.problem, again };
}

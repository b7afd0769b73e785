// A list that stays current: the pages that were asked for, and what the stream has changed of them since.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { reason, type Notification } from '../api/client';
import { latestFirst, matches, type Filter } from './filter';
import { all, page, restarts, revision } from './live';

const PAGE = 50;

export interface List {
  readonly shown: readonly Notification[];
  /** Null while everything there is is shown. */
  readonly more: (() => void) | null;
  readonly loading: boolean;
  readonly problem: string;
}

interface Asked {
  readonly next: string | null;
  /** What is older may be known of, but with holes. */
  readonly last: Notification | null;
  readonly loading: boolean;
  readonly problem: string;
}

const NOTHING: Asked = { next: null, last: null, loading: true, problem: '' };

export function useList(filter: Filter): List {
  const [asked, setAsked] = useState(NOTHING);
  const wanted = JSON.stringify(filter);
  const current = useRef(wanted);
  current.current = wanted;
  const restart = restarts.value;

  const ask = (cursor?: string) => {
    setAsked((before) => ({ ...before, loading: true, problem: '' }));
    page(filter, PAGE, cursor)
      .then(({ next, last }) => ({ next, last, loading: false, problem: '' }))
      .catch((thrown: unknown) => ({ ...NOTHING, loading: false, problem: reason(thrown) }))
      .then((answer) => {
        if (current.current === wanted) setAsked(answer);
      });
  };
  useEffect(() => ask(), [wanted, restart]);

  const change = revision.value;
  const shown = useMemo(() => {
    const found = [...all()].filter((notification) => matches(notification, filter)).sort(latestFirst);
    const { next, last } = asked;
    return next && last ? found.filter((notification) => latestFirst(notification, last) <= 0) : found;
  }, [change, wanted, asked]);

  const { next, loading, problem } = asked;
  return { shown, more: next ? () => ask(next) : null, loading, problem };
}

// What becomes of commands, as the stream of notifications tells it: live hints, without replay. They come before the API
// knows of them, so what was read is shown with the newest of them over it, and read again a moment later.

import { useEffect, useState } from 'preact/hooks';
import type { Command, CommandNews } from '../api/client';

/** Commands whose newest news are kept. */
const KEPT = 1_000;
/** How long the API is given to know of it too. */
const MOMENT = 400;

const newest = new Map<string, CommandNews>();
const listeners = new Set<(news: CommandNews | null) => void>();

const isFinal = ({ outcome }: CommandNews): boolean => outcome !== 'ACCEPTED' && outcome !== 'UNKNOWN';

export function take(news: CommandNews): void {
  const before = newest.get(news.command_id);
  if (before && isFinal(before)) return;
  newest.delete(news.command_id);
  newest.set(news.command_id, news);
  for (const id of newest.keys()) {
    if (newest.size <= KEPT) break;
    newest.delete(id);
  }
  listeners.forEach((listener) => listener(news));
}

/** Some may have been missed: whoever shows commands asks for them again. */
export function missed(): void {
  listeners.forEach((listener) => listener(null));
}

/** A command as it is, if the news are ahead of what was read. */
export function current(command: Command): Command {
  const news = newest.get(command.command_id);
  if (!news || command.is_final || news.outcome === 'UNKNOWN') return command;
  const { outcome: state, attempt, detail, breaker, at: updated_at } = news;
  return { ...command, state, attempt, detail, breaker, updated_at, is_final: isFinal(news) };
}

/** Changes a moment after news that matter here, and draws at once. */
export function useNews(matters: (news: CommandNews) => boolean): number {
  const [settled, setSettled] = useState(0);
  const [, draw] = useState(0);
  useEffect(() => {
    let timer = 0;
    const listener = (news: CommandNews | null) => {
      if (news && !matters(news)) return;
      draw((before) => before + 1);
      timer ||= window.setTimeout(() => {
        timer = 0;
        setSettled((before) => before + 1);
      }, MOMENT);
    };
    listeners.add(listener);
    return () => {
      clearTimeout(timer);
      listeners.delete(listener);
    };
  }, []);
  return settled;
}

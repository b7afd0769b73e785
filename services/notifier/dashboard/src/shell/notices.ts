// Short messages about what was just done, with a way back where there is one.

import { signal } from '@preact/signals';
import { reason } from '../api/client';

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
  readonly undo?: () => Promise<void>;
}

const SHOWN = 8_000;
export const notices = signal<readonly Notice[]>([]);
let last = 0;

export function tell(text: string, undo?: () => Promise<void>): void {
  show({ id: ++last, text, bad: false, undo });
}

export function warn(text: string): void {
  show({ id: ++last, text, bad: true });
}

/** Does what someone asked for; what goes wrong is told. */
export async function attempt(what: () => Promise<void>): Promise<void> {
  try {
    await what();
  } catch (thrown) {
    warn(reason(thrown));
  }
}

function show(notice: Notice): void {
  notices.value = [...notices.peek().slice(-2), notice];
  setTimeout(() => dismiss(notice), SHOWN);
}

export function dismiss(notice: Notice): void {
  notices.value = notices.peek().filter(({ id }) => id !== notice.id);
}

export async function undo(notice: Notice): Promise<void> {
  dismiss(notice);
  await attempt(async () => {
    await notice.undo?.();
    tell('Taken back.');
  });
}

/** Takes back what was done last, if that can be. */
export function undoLast(): void {
  const notice = notices.peek().findLast((one) => one.undo);
  if (notice) void undo(notice);
}

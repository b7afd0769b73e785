// The list by keyboard: one notification at a time has the focus, letters act on it.

import { isTyping } from '../shell/Search';
import { undoLast } from '../shell/notices';

const KEYS: readonly [string, string][] = [
  ['j / ↓', 'next'],
  ['k / ↑', 'previous'],
  ['a', 'acknowledge, or take that back'],
  ['s', 'snooze'],
  ['r', 'resolve, or reopen'],
  ['u', 'undo what was done last'],
  ['x', 'select'],
  ['h', 'history'],
  ['/', 'search'],
];

/** Letters press what the notification with the focus offers: what cannot be done with it has no key. */
const PRESSES: Record<string, string> = {
  a: '[data-action=acknowledge], [data-action=unacknowledge]',
  s: '[data-action=snooze], [data-action=unsnooze]',
  r: '[data-action=resolve], [data-action=reopen]',
  x: 'input[type=checkbox]',
  h: 'summary',
};

export function onListKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || (isTyping(event) && !(event.target instanceof HTMLInputElement && event.target.type === 'checkbox'))) return;
  if (event.key === 'u') undoLast();
  else if (event.key === 'j' || event.key === 'ArrowDown') move(event, 1);
  else if (event.key === 'k' || event.key === 'ArrowUp') move(event, -1);
  else press(event);
}

const items = (event: KeyboardEvent) => [...(event.currentTarget as Element).querySelectorAll<HTMLElement>('[data-notification]')];
const focused = () => document.activeElement?.closest<HTMLElement>('[data-notification]');

function move(event: KeyboardEvent, by: number): void {
  event.preventDefault();
  const list = items(event);
  const at = list.indexOf(focused()!);
  list[Math.max(0, Math.min(list.length - 1, at + by))]?.focus();
}

function press(event: KeyboardEvent): void {
  const selector = PRESSES[event.key];
  const control = selector && focused()?.querySelector<HTMLElement>(selector);
  if (!control) return;
  event.preventDefault();
  if (control instanceof HTMLSelectElement) control.focus();
  else control.click();
}

export function KeyHelp() {
  return (
    <details class="keys">
      <summary>Keys</summary>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

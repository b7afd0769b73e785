import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { isTyping } from '../shell/Search';
import { onListKey } from './keyboard';
import { NotificationItem } from './NotificationItem';
import type { List } from './useList';

interface Shown {
  list: List;
  label: string;
  selection?: { selected: ReadonlySet<string>; select: (selected: ReadonlySet<string>) => void };
}

export function NotificationList({ list, label, selection }: Shown) {
  const element = useRef<HTMLOListElement>(null);
  const { shown, more, loading, problem } = list;
  useEffect(() => enterByKey(element), []);
  useKeptFocus(element, shown.map(({ notification_id }) => notification_id));
  const toggle = (id: string) => {
    const selected = new Set(selection?.selected);
    if (!selected.delete(id)) selected.add(id);
    selection?.select(selected);
  };
  return (
    <>
      <ol class="notifications" ref={element} aria-label={label} aria-busy={loading} onKeyDown={onListKey}>
        {shown.map((notification, index) => (
          <NotificationItem
            key={notification.notification_id}
            notification={notification}
            first={index === 0}
            selected={selection?.selected.has(notification.notification_id)}
            toggle={selection && toggle}
          />
        ))}
      </ol>
      {problem && <p role="alert">{problem}</p>}
      {shown.length === 0 && !loading && !problem && <p class="empty">Nothing here.</p>}
      {more && (
        <button type="button" class="more" disabled={loading} onClick={more}>
          Show more
        </button>
      )}
    </>
  );
}

/** `j` from anywhere on the page goes into the list. */
function enterByKey(list: { current: HTMLOListElement | null }): () => void {
  const enter = (event: KeyboardEvent) => {
    if (event.key !== 'j' || isTyping(event) || event.defaultPrevented || list.current?.contains(document.activeElement)) return;
    list.current?.querySelector<HTMLElement>('[data-notification]')?.focus();
  };
  addEventListener('keydown', enter);
  return () => removeEventListener('keydown', enter);
}

/** When what has the focus leaves the list, the one that took its place gets it. */
function useKeptFocus(list: { current: HTMLOListElement | null }, ids: readonly string[]): void {
  const before = useRef<readonly string[]>([]);
  const vacant = useRef(-1);
  const focused = document.activeElement?.closest<HTMLElement>('[data-notification]');
  const id = focused?.dataset.notification;
  if (id && list.current?.contains(focused) && !ids.includes(id)) vacant.current = before.current.indexOf(id);
  before.current = ids;
  useLayoutEffect(() => {
    const items = list.current?.querySelectorAll<HTMLElement>('[data-notification]');
    if (vacant.current >= 0 && items?.length) items[Math.min(vacant.current, items.length - 1)]?.focus();
    vacant.current = -1;
  }, [ids.join()]);
}

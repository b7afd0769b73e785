// Where the reader is: the address, so that whatever is shown can be bookmarked, shared and gone back to.

import { signal } from '@preact/signals';

export interface Place {
  /** `/devices/sensor%2F1` is ['devices', 'sensor/1']. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

const read = (): Place => ({
  path: window.location.pathname.split('/').filter(Boolean).map(decode),
  query: new URLSearchParams(window.location.search),
});

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const place = signal(read());

export function go(address: string): void {
  history.pushState(null, '', address);
  place.value = read();
}

/** Changes what is shown of the same page; an empty value takes its parameter out. */
export function ask(changes: Record<string, string | readonly string[]>): void {
  const query = new URLSearchParams(place.peek().query);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of [value].flat()) if (one) query.append(name, one);
  }
  const text = query.toString();
  history.replaceState(null, '', window.location.pathname + (text && `?${text}`));
  place.value = read();
}

/** Follows links within the page without loading it again. */
export function followLinks(): void {
  addEventListener('popstate', () => {
    place.value = read();
  });
  addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    const modified = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (!link || modified || event.defaultPrevented || link.target || link.hash || link.origin !== window.location.origin) return;
    event.preventDefault();
    go(link.pathname + link.search);
    scrollTo(0, 0);
  });
}

export const deviceAddress = (id: string): string => `/devices/${encodeURIComponent(id)}`;

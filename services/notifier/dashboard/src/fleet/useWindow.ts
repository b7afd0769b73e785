// Which rows of a long list can be seen. Only these are in the page, whatever the list's length; it scrolls with the page.

import { useLayoutEffect, useRef, useState } from 'preact/hooks';

const BEYOND = 8;

export interface Window {
  readonly element: { current: HTMLDivElement | null };
  readonly first: number;
  /** Behind the last. */
  readonly end: number;
}

export function useWindow(length: number, rowHeight: number): Window {
  const element = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ first: 0, end: 0 });
  useLayoutEffect(() => {
    const look = () => {
      const above = -(element.current?.getBoundingClientRect().top ?? 0);
      const first = Math.max(0, Math.floor(above / rowHeight) - BEYOND);
      const end = Math.min(length, Math.ceil((above + innerHeight) / rowHeight) + BEYOND);
      setRange((before) => (before.first === first && before.end === end ? before : { first, end }));
    };
    look();
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [length, rowHeight]);
  return { element, first: Math.min(range.first, length), end: Math.min(range.end, length) };
}

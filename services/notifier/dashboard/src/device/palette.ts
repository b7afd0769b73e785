// A canvas does not know the stylesheet's colours: they are read from it, whenever the theme changes.

const NAMES = ['text', 'faint', 'line', 'accent', 'expected', 'band', 'spread', 'critical', 'warning', 'anomaly', 'drift'] as const;
export type Palette = Record<(typeof NAMES)[number], string>;

export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`)])) as Palette;
}

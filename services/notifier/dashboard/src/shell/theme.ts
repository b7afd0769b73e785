// Light or dark: as the system has it, until somebody chooses.

import { effect, signal } from '@preact/signals';

const STORED = 'fieldwatch-theme';
const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const stored = localStorage.getItem(STORED);
export const theme = signal<Theme>(THEMES.find((one) => one === stored) ?? 'system');

const system = matchMedia('(prefers-color-scheme: dark)');
export const systemIsDark = signal(system.matches);
system.addEventListener('change', () => {
  systemIsDark.value = system.matches;
});

export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem(STORED, theme.value);
  });
}

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'system';
}

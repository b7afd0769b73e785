// Who looks: an API key, typed once and kept for as long as this tab is open.

import { computed, signal } from '@preact/signals';
import type { components } from '../api/schema';

const STORED = 'fieldwatch-key';
type Me = components['schemas']['Me'];

export const key = signal(sessionStorage.getItem(STORED));
export const me = signal<Me | null>(null);
/** Why the last key was not taken. */
export const refusal = signal('');

const may = (scope: Me['scopes'][number]) =>
  computed(() => me.value?.scopes.some((has) => has === scope || has === 'admin') ?? false);
/** Acknowledge, snooze, resolve, silence, send commands, run scenes. */
export const mayWrite = may('write');
/** Webhooks. */
export const mayAdministrate = may('admin');

export function signIn(given: string): void {
  refusal.value = '';
  sessionStorage.setItem(STORED, given);
  key.value = given;
}

export function signOut(why = ''): void {
  sessionStorage.removeItem(STORED);
  refusal.value = why;
  key.value = null;
  me.value = null;
}

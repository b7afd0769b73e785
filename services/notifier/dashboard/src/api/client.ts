// The API, typed by its own description: `schema.ts` is generated from /openapi.json and never edited.

import createClient from 'openapi-fetch';
import { key, signOut } from '../shell/session';
import type { components, paths } from './schema';

type Schemas = components['schemas'];
export type Change = Schemas['Change'];
export type Command = Schemas['Command'];
export type CommandNews = Schemas['CommandNews'];
export type Counts = Schemas['Counts'];
export type Delivery = Schemas['DeliveryStatus'];
export type Device = Schemas['Device'];
export type HealthState = Schemas['HealthState'];
export type DeviceState = Schemas['DeviceState'];
export type MetricHealth = Schemas['MetricHealth'];
export type Notification = Schemas['Notification'];
export type NotificationEvent = Schemas['NotificationEvent'];
export type NotificationState = Schemas['State'];
export type Severity = Schemas['Severity'];
export type Reading = Schemas['Reading'];
export type Scene = Schemas['SceneEntry'];
export type Silence = Schemas['SilenceEntry'];
export type Snapshot = Schemas['Snapshot'];
export type TimelineEntry = Schemas['TimelineEntry'];
export type Window = Schemas['HistoryPoint'];
export type Webhook = Schemas['WebhookEntry'];

export const api = createClient<paths>();

api.use({
  onRequest({ request }) {
    request.headers.set('authorization', `Bearer ${key.peek()}`);
    return request;
  },
});

/** What the API refused, in its words (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly mistakes: readonly string[] = [],
  ) {
    super(detail);
  }

  override toString(): string {
    return [this.message.replace(/\.?$/, '.'), ...this.mistakes].join(' ');
  }
}

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The body of an answer that is none of a problem's; who is not known any more is signed out. */
export async function answered<T>(asked: Promise<Answer<T>>): Promise<NonNullable<T>> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch {
    throw new Problem(0, 'Fieldwatch cannot be reached right now.');
  }
  const { data, error, response } = answer;
  if (response.ok) return (data ?? {}) as NonNullable<T>;
  const problem = error as Partial<Schemas['Problem']> | undefined;
  const mistakes = problem?.errors?.map((mistake) => `${mistake.pointer ?? mistake.parameter ?? mistake.header ?? ''} ${mistake.detail}.`.trim()) ?? [];
  const refused = new Problem(response.status, problem?.detail ?? (response.statusText || `Status ${response.status}.`), mistakes);
  if (refused.status === 401) signOut(refused.message);
  throw refused;
}

/** As a person reads it. */
export const reason = (thrown: unknown): string => (thrown instanceof Error ? String(thrown).replace(/^Error: /, '') : String(thrown));

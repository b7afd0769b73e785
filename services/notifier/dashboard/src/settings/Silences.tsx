import { answered, api, type Silence } from '../api/client';
import { attempt, tell } from '../shell/notices';
import { mayWrite } from '../shell/session';
import { ago, moment, now } from '../shell/time';
import { Field, Form, NAME_PATTERN } from './Form';
import { useAnswer } from './useAnswer';

const HOUR = 3_600_000;
const LENGTHS: readonly [string, number][] = [
  ['an hour', HOUR],
  ['4 hours', 4 * HOUR],
  ['a day', 24 * HOUR],
  ['a week', 168 * HOUR],
];

export function Silences() {
  const { answer, problem, again } = useAnswer('', () => answered(api.GET('/v1/silences')), 10_000);
  const silences = [...(answer?.data ?? [])].sort((a, b) => (a.ends_at < b.ends_at ? 1 : -1));
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Silences</h1>
        <p class="faint">What matches is kept, but nobody is told of it for a while.</p>
      </div>
      {mayWrite.value && <NewSilence made={again} />}
      {problem && <p role="alert">{problem}</p>}
      <ul class="entries" aria-label="Silences">
        {silences.map((silence) => (
          <Entry key={silence.name} silence={silence} changed={again} />
        ))}
      </ul>
      {answer && silences.length === 0 && <p class="empty">There are none.</p>}
    </>
  );
}

function NewSilence({ made }: { made: () => void }) {
  const send = async ({ name = '', matchers = '', starts = '', length = '', comment = '' }: Record<string, string>) => {
    const begin = starts ? new Date(starts).getTime() : Date.now();
    const body = {
      matchers: matchers.split('\n').map((line) => line.trim()).filter(Boolean),
      starts_at: new Date(begin).toISOString(),
      ends_at: new Date(begin + Number(length)).toISOString(),
      ...(comment && { comment }),
    };
    await answered(api.PUT('/v1/silences/{name}', { params: { path: { name }, header: { 'If-None-Match': '*' } }, body }));
    tell(`Silence ${name} is made.`);
    made();
  };
  return (
    <Form title="New silence" submit="Make it" send={send}>
      <Field label="Name">
        <input name="name" required pattern={NAME_PATTERN} autocomplete="off" />
      </Field>
      <Field label="Matchers" hint="one a line, all must hold: = != =~ !~ > >= < <=">
        <textarea name="matchers" required rows={3} spellcheck={false} placeholder={'group_id="hall-2"\nseverity=~"WARNING|INFO"'} />
      </Field>
      <Field label="From" hint="now when empty">
        <input name="starts" type="datetime-local" />
      </Field>
      <Field label="For">
        <select name="length">
          {LENGTHS.map(([text, length]) => (
            <option key={text} value={length}>
              {text}
            </option>
          ))}
        </select>
      </Field>
      <Field label="Why">
        <input name="comment" maxLength={1000} autocomplete="off" />
      </Field>
    </Form>
  );
}

function Entry({ silence, changed }: { silence: Silence; changed: () => void }) {
  const { name, matchers, starts_at: starts, ends_at: ends, comment, updated_by: by } = silence;
  const standing = Date.parse(ends) <= now.value ? 'over' : Date.parse(starts) > now.value ? 'to come' : 'in force';
  const remove = async () => {
    await attempt(async () => {
      await answered(api.DELETE('/v1/silences/{name}', { params: { path: { name }, header: { 'If-Match': `"${silence.version}"` } } }));
      tell(`Silence ${name} is deleted.`, () => putBack(silence, changed));
    });
    changed();
  };
  return (
    <li class="card entry">
      <div class="head">
        <strong>{name}</strong>
        <span class="standing-word" data-standing={standing}>
          {standing}
        </span>
        {standing !== 'over' && (
          <span class="faint" title={`${moment(starts)} to ${moment(ends)}`}>
            {standing === 'to come' ? `begins ${ago(starts)}, ` : ''}ends {ago(ends)}
          </span>
        )}
      </div>
      <ul class="matchers" aria-label="Matchers">
        {matchers.map((matcher) => (
          <li key={matcher}>
            <code>{matcher}</code>
          </li>
        ))}
      </ul>
      <p class="faint">
        {comment && `${comment} · `}by {by}
      </p>
      {mayWrite.value && (
        <div class="actions">
          <button type="button" onClick={() => void remove()}>
            {standing === 'in force' ? 'End' : 'Delete'}
            <span class="unseen"> silence {name}</span>
          </button>
        </div>
      )}
    </li>
  );
}

async function putBack({ name, matchers, starts_at, ends_at, comment }: Silence, changed: () => void): Promise<void> {
  const body = { matchers, starts_at, ends_at, comment };
  await answered(api.PUT('/v1/silences/{name}', { params: { path: { name }, header: { 'If-None-Match': '*' } }, body }));
  changed();
}

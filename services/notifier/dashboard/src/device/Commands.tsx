import { answered, api } from '../api/client';
import { CommandItem, word } from '../commands/CommandItem';
import { current, useNews } from '../commands/live';
import { Field, Form } from '../settings/Form';
import { useAnswer } from '../settings/useAnswer';
import { tell } from '../shell/notices';
import { mayWrite } from '../shell/session';

const SHOWN = 20;

/** What a device was told lately, and telling it more. */
export function Commands({ id }: { id: string }) {
  const settled = useNews((news) => news.device_id === id);
  const query = { device_id: [id], limit: SHOWN };
  const { answer, problem, again } = useAnswer(`${id} ${settled}`, () => answered(api.GET('/v1/commands', { params: { query } })));
  const commands = (answer?.data ?? []).map(current);
  const latest = commands.filter(({ breaker }) => breaker).sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1))[0];
  return (
    <>
      {latest?.breaker && (
        <p class="breaker" data-breaker={latest.breaker}>
          Breaker {word(latest.breaker)}
          {latest.breaker === 'OPEN' && ': what is sent now is refused'}
          {latest.breaker === 'HALF_OPEN' && ': the next command decides'}
        </p>
      )}
      {mayWrite.value && <NewCommand id={id} sent={again} />}
      {problem && <p role="alert">{problem}</p>}
      <ul class="commands" aria-label={`Commands to ${id}`}>
        {commands.map((command) => (
          <CommandItem key={command.command_id} command={command} />
        ))}
      </ul>
      {answer && commands.length === 0 && <p class="faint">It was told nothing yet.</p>}
    </>
  );
}

function NewCommand({ id, sent }: { id: string; sent: () => void }) {
  const send = async ({ name = '', given = '', desired = '', expires = '' }: Record<string, string>) => {
    const desired_state = desired ? object(desired, 'The desired state') : undefined;
    const body = { device_id: id, name, arguments: given ? object(given, 'What is given') : {}, expires_in: expires, ...(desired_state && { desired_state }) };
    await answered(api.POST('/v1/commands', { body }));
    tell(`${name} is on its way to ${id}.`);
    sent();
  };
  return (
    <Form title="Send a command" submit="Send it" send={send}>
      <Field label="Command" hint="a word of the device's, e.g. set">
        <input name="name" required maxLength={128} autocomplete="off" autocapitalize="off" />
      </Field>
      <Field label="Good for">
        <select name="expires">
          {['1m', '10s', '10m', '1h', '24h'].map((length) => (
            <option key={length}>{length}</option>
          ))}
        </select>
      </Field>
      <Field label="Arguments" hint="a JSON object">
        <textarea name="given" rows={3} spellcheck={false} placeholder={'{"speed": 3}'} />
      </Field>
      <Field label="Desired state" hint="what it has to report in the end; a JSON object">
        <textarea name="desired" rows={3} spellcheck={false} placeholder={'{"speed": 3}'} />
      </Field>
    </Form>
  );
}

function object(text: string, what: string): Record<string, never> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is not a JSON object.`);
  return value as Record<string, never>;
}

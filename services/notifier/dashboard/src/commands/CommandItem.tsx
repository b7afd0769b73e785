import { useState } from 'preact/hooks';
import { answered, api, type Command } from '../api/client';
import { useAnswer } from '../settings/useAnswer';
import { deviceAddress } from '../shell/place';
import { ago, moment } from '../shell/time';
import { current } from './live';

/** Of an enum, as people read it. */
export const word = (symbol: string): string => symbol.toLowerCase().replaceAll('_', ' ');

/** A command with where it stands; opened, with everything that was heard of it. */
export function CommandItem({ command: read, withDevice = false }: { command: Command; withDevice?: boolean }) {
  const [open, setOpen] = useState(false);
  const command = current(read);
  const { name, state, detail, attempt, issued_at: issued, issued_by: by, arguments: given, desired_state: desired } = command;
  return (
    <li class="command" data-command={command.command_id} data-state={state}>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <strong>{name}</strong>
          <code>{JSON.stringify(given)}</code>
          <span class="command-state" data-state={state}>
            {word(state)}
          </span>
          <time class="faint" dateTime={issued} title={moment(issued)}>
            {ago(issued)}
          </time>
        </summary>
        <p class="faint">
          Issued by {by}
          {desired && (
            <>
              , to reach <code>{JSON.stringify(desired)}</code>
            </>
          )}
          {attempt > 0 && `, sent ${attempt === 1 ? 'once' : `${attempt} times`}`}
          {detail && `: ${detail}`}
        </p>
        {open && <History command={command} />}
      </details>
      {withDevice && <a href={deviceAddress(command.device_id)}>{command.device_id}</a>}
    </li>
  );
}

function History({ command: { command_id: id, state, attempt } }: { command: Command }) {
  const { answer, problem } = useAnswer(`${id} ${state} ${attempt}`, () => answered(api.GET('/v1/commands/{id}', { params: { path: { id } } })), 2_000);
  const history = answer?.history ?? [];
  return (
    <>
      {problem && <p role="alert">{problem}</p>}
      <ol class="attempts" aria-label={`History of ${id}`}>
        {history.map(({ outcome, attempt: sent, at, detail, breaker }) => (
          <li key={`${at} ${outcome}`}>
            <time dateTime={at}>{moment(at)}</time> {word(outcome)}, attempt {sent}
            {breaker !== 'CLOSED' && `, breaker ${word(breaker)}`}
            {detail && `: ${detail}`}
          </li>
        ))}
      </ol>
      {answer && history.length === 0 && <p class="faint">Nothing was heard of it yet.</p>}
    </>
  );
}

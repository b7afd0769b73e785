import { useState } from 'preact/hooks';
import { answered, api, type Scene } from '../api/client';
import { CommandItem, word } from '../commands/CommandItem';
import { current, useNews } from '../commands/live';
import { useAnswer } from '../settings/useAnswer';
import { attempt, tell } from '../shell/notices';
import { ask, place } from '../shell/place';
import { mayWrite } from '../shell/session';
import { moment } from '../shell/time';

export function Scenes() {
  const { answer, problem } = useAnswer('', () => answered(api.GET('/v1/scenes')), 10_000);
  const scenes = answer?.data ?? [];
  const run = place.value.query.get('run');
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Scenes</h1>
        <p class="faint">Several devices told what to do by one decision.</p>
      </div>
      {run && <Run key={run} id={run} />}
      {problem && <p role="alert">{problem}</p>}
      <ul class="entries" aria-label="Scenes">
        {scenes.map((scene) => (
          <Entry key={scene.name} scene={scene} />
        ))}
      </ul>
      {answer && scenes.length === 0 && <p class="empty">There are none. The API makes them, or notifier config apply.</p>}
    </>
  );
}

function Entry({ scene: { name, description, members } }: { scene: Scene }) {
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    await attempt(async () => {
      const { scene_id: id, commands } = await answered(api.POST('/v1/scenes/{name}', { params: { path: { name } } }));
      tell(`Scene ${name} runs: ${commands.length} commands are on their way.`);
      ask({ run: id });
    });
    setBusy(false);
  };
  return (
    <li class="card entry">
      <div class="head">
        <strong>{name}</strong>
        <span class="faint">
          {members.length} {members.length === 1 ? 'member' : 'members'}
        </span>
      </div>
      {description && <p class="faint">{description}</p>}
      {mayWrite.value && (
        <div class="actions">
          <button type="button" disabled={busy} onClick={() => void run()}>
            Run<span class="unseen"> scene {name}</span>
          </button>
        </div>
      )}
    </li>
  );
}

/** A run as it goes on. */
function Run({ id }: { id: string }) {
  const settled = useNews((news) => news.scene_id === id);
  const { answer, problem } = useAnswer(`${id} ${settled}`, () => answered(api.GET('/v1/scene-runs/{scene_id}', { params: { path: { scene_id: id } } })));
  const commands = (answer?.commands ?? []).map(current);
  const states = [...new Set(commands.map(({ state }) => state))];
  return (
    <section class="card" aria-labelledby="run-heading">
      <h2 id="run-heading">{answer ? `Run of ${answer.name}` : 'Run'}</h2>
      {problem && <p role="alert">{problem}</p>}
      {answer && (
        <p role="status">
          {states.map((state) => `${commands.filter((command) => command.state === state).length} ${word(state)}`).join(', ')}
          <span class="faint">
            {' '}
            · {moment(answer.issued_at)} by {answer.issued_by}
          </span>
        </p>
      )}
      <ul class="commands" aria-label="Members">
        {commands.map((command) => (
          <CommandItem key={command.command_id} command={command} withDevice />
        ))}
      </ul>
    </section>
  );
}

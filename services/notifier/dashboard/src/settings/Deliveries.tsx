import { useState } from 'preact/hooks';
import { answered, api, type Delivery } from '../api/client';
import { attempt, tell } from '../shell/notices';
import { mayWrite } from '../shell/session';
import { ago, moment } from '../shell/time';
import { useAnswer } from './useAnswer';

/** The last deliveries of a webhook; `turn` moves when there is a new one. */
export function Deliveries({ webhook, turn }: { webhook: string; turn: number }) {
  const question = () => answered(api.GET('/v1/webhooks/{name}/deliveries', { params: { path: { name: webhook }, query: { limit: 50 } } }));
  const { answer, problem, again } = useAnswer(`${webhook} ${turn}`, question, 2_000);
  return (
    <div class="deliveries">
      {problem && <p role="alert">{problem}</p>}
      <ul aria-label={`Deliveries of ${webhook}`}>
        {(answer?.data ?? []).map((delivery) => (
          <Entry key={delivery.delivery_id} delivery={delivery} changed={again} />
        ))}
      </ul>
      {answer?.data.length === 0 && <p class="faint">None yet.</p>}
    </div>
  );
}

function Entry({ delivery, changed }: { delivery: Delivery; changed: () => void }) {
  const { delivery_id: id, state, type, attempts, last_status: status, last_error: error, created_at: created, next_attempt_at: next } = delivery;
  const [open, setOpen] = useState(false);
  const resend = async () => {
    await attempt(async () => {
      await answered(api.POST('/v1/webhooks/deliveries/{id}/resend', { params: { path: { id } } }));
      tell('It is sent again.');
    });
    changed();
  };
  return (
    <li data-delivery={state}>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <span class="delivery-state" data-delivery={state}>
            {state.toLowerCase()}
          </span>
          <span>{type}</span>
          <time dateTime={created} title={moment(created)}>
            {ago(created)}
          </time>
          <span class="faint">
            {attempts} {attempts === 1 ? 'attempt' : 'attempts'}
            {status != null && `, answered ${status}`}
            {error && `, ${error}`}
            {next && `, next ${ago(next)}`}
          </span>
        </summary>
        {open && <Attempts id={id} turn={`${state} ${attempts}`} />}
        {mayWrite.value && state !== 'PENDING' && (
          <button type="button" onClick={() => void resend()}>
            Send again
          </button>
        )}
      </details>
    </li>
  );
}

function Attempts({ id, turn }: { id: string; turn: string }) {
  const { answer, problem } = useAnswer(turn, () => answered(api.GET('/v1/webhooks/deliveries/{id}', { params: { path: { id } } })));
  return (
    <>
      {problem && <p role="alert">{problem}</p>}
      <ol class="attempts" aria-label="Attempts">
        {(answer?.attempt_log ?? []).map(({ number, at, status, error, duration_ms }) => (
          <li key={number}>
            <time dateTime={at} title={moment(at)}>
              {ago(at)}
            </time>{' '}
            {status ?? error ?? 'no answer'}, {duration_ms} ms
          </li>
        ))}
      </ol>
      {answer && <pre tabIndex={0}>{pretty(answer.body)}</pre>}
    </>
  );
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

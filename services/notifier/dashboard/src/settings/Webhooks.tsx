import { useState } from 'preact/hooks';
import { answered, api, type Webhook } from '../api/client';
import { attempt, tell } from '../shell/notices';
import { go } from '../shell/place';
import { mayAdministrate, mayWrite } from '../shell/session';
import { ago } from '../shell/time';
import { Deliveries } from './Deliveries';
import { Field, Form, NAME_PATTERN } from './Form';
import { useAnswer } from './useAnswer';

interface Secret {
  readonly webhook: string;
  readonly secret: string;
}

export function Webhooks({ selected }: { selected?: string }) {
  const { answer, problem, again } = useAnswer('', () => answered(api.GET('/v1/webhooks')), 10_000);
  const receivers = useAnswer('', () => answered(api.GET('/v1/receivers')));
  const [secret, setSecret] = useState<Secret | null>(null);
  const receiversOf = (name: string) => (receivers.answer?.data ?? []).filter(({ webhooks }) => webhooks?.includes(name)).map((receiver) => receiver.name);
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Webhooks</h1>
        <p class="faint">Addresses that deliveries are posted to, for the receivers that name them.</p>
      </div>
      {mayAdministrate.value && <NewWebhook made={again} show={setSecret} />}
      {secret && (
        <p class="card secret" role="status">
          The secret of {secret.webhook}, shown this once: <code>{secret.secret}</code>
        </p>
      )}
      {problem && <p role="alert">{problem}</p>}
      <ul class="entries" aria-label="Webhooks">
        {(answer?.data ?? []).map((webhook) => (
          <Entry
            key={webhook.name}
            webhook={webhook}
            receivers={receiversOf(webhook.name)}
            open={webhook.name === selected}
            changed={again}
            show={setSecret}
          />
        ))}
      </ul>
      {answer?.data.length === 0 && <p class="empty">There are none.</p>}
    </>
  );
}

function NewWebhook({ made, show }: { made: () => void; show: (secret: Secret) => void }) {
  const send = async ({ name = '', url = '', format = '', description = '' }: Record<string, string>) => {
    const body = { url, format: format === 'slack' ? ('slack' as const) : ('standard' as const), ...(description && { description }) };
    const webhook = await answered(api.PUT('/v1/webhooks/{name}', { params: { path: { name }, header: { 'If-None-Match': '*' } }, body }));
    if (webhook.secret) show({ webhook: name, secret: webhook.secret });
    tell(`Webhook ${name} is made.`);
    made();
  };
  return (
    <Form title="New webhook" submit="Make it" send={send}>
      <Field label="Name">
        <input name="name" required pattern={NAME_PATTERN} autocomplete="off" />
      </Field>
      <Field label="Address">
        <input name="url" type="url" required maxLength={2048} placeholder="https://hooks.example.com/fieldwatch" autocomplete="off" />
      </Field>
      <Field label="Format">
        <select name="format">
          <option value="standard">Standard Webhooks, signed</option>
          <option value="slack">Slack</option>
        </select>
      </Field>
      <Field label="Description">
        <input name="description" maxLength={1024} autocomplete="off" />
      </Field>
    </Form>
  );
}

interface EntryShown {
  webhook: Webhook;
  receivers: readonly string[];
  /** Its deliveries are shown. */
  open: boolean;
  changed: () => void;
  show: (secret: Secret) => void;
}

function Entry({ webhook, receivers, open, changed, show }: EntryShown) {
  const { name, url, format, breaker, disabled_at: disabled } = webhook;
  const [tests, setTests] = useState(0);
  const params = { path: { name } };
  const run = async (what: () => Promise<void>) => {
    await attempt(what);
    changed();
  };
  const test = async () => {
    await answered(api.POST('/v1/webhooks/{name}/test', { params }));
    setTests((before) => before + 1);
    go(`/webhooks/${encodeURIComponent(name)}`);
  };
  const rotate = async () => {
    show({ webhook: name, ...(await answered(api.POST('/v1/webhooks/{name}/rotate-secret', { params }))) });
  };
  const remove = async () => {
    if (!confirm(`Delete the webhook ${name}? Its secret is lost.`)) return;
    await answered(api.DELETE('/v1/webhooks/{name}', { params }));
    tell(`Webhook ${name} is deleted.`);
  };
  return (
    <li class="card entry">
      <div class="head">
        <strong>{name}</strong>
        <span class="standing-word" data-standing={disabled ? 'over' : breaker === 'closed' ? 'in force' : 'to come'}>
          {disabled ? `disabled ${ago(disabled)}` : BREAKERS[breaker]}
        </span>
        <span class="faint">{format ?? 'standard'}</span>
      </div>
      <p class="address">
        <code>{url}</code>
      </p>
      <p class="faint">
        {webhook.description && `${webhook.description} · `}
        {receivers.length > 0 ? `for ${receivers.join(', ')}` : 'no receiver names it: it gets tests only'}
      </p>
      <div class="actions">
        <a class="button" href={open ? '/webhooks' : `/webhooks/${encodeURIComponent(name)}`} aria-expanded={open}>
          Deliveries<span class="unseen"> of {name}</span>
        </a>
        {mayWrite.value && (
          <button type="button" aria-label={`Test ${name}`} onClick={() => void run(test)}>
            Test
          </button>
        )}
        {mayAdministrate.value && (
          <>
            {format !== 'slack' && (
              <button type="button" aria-label={`Rotate secret of ${name}`} onClick={() => void run(rotate)}>
                Rotate secret
              </button>
            )}
            <button type="button" aria-label={`Delete ${name}`} onClick={() => void run(remove)}>
              Delete
            </button>
          </>
        )}
      </div>
      {open && <Deliveries webhook={name} turn={tests} />}
    </li>
  );
}

const BREAKERS: Record<Webhook['breaker'], string> = { closed: 'well', open: 'keeps failing, left alone for a while', 'half-open': 'being tried again' };

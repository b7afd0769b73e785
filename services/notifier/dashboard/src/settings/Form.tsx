import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { reason } from '../api/client';

interface Form {
  title: string;
  submit: string;
  /** What was given, by the names of the fields. */
  send: (given: Record<string, string>) => Promise<void>;
  children: ComponentChildren;
}

/** A form that is folded away, says what was refused, and is empty again after it was taken. */
export function Form({ title, submit, send, children }: Form) {
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const onSubmit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value).trim()]));
    setBusy(true);
    try {
      await send(given);
      form.reset();
      form.closest('details')!.open = false;
      setProblem('');
    } catch (thrown) {
      setProblem(reason(thrown));
    }
    setBusy(false);
  };
  return (
    <details class="card new">
      <summary>{title}</summary>
      <form onSubmit={(event) => void onSubmit(event)}>
        {children}
        <p role="alert" class="refused">
          {problem}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {submit}
        </button>
      </form>
    </details>
  );
}

export function Field({ label, hint, children }: { label: string; hint?: string; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>
        {label}
        {hint && <small class="faint"> {hint}</small>}
      </span>
      {children}
    </label>
  );
}

/** What names of entries may be made of. */
export const NAME_PATTERN = '[A-Za-z0-9._\\-]{1,64}';

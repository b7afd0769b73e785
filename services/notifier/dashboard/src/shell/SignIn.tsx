import { useRef } from 'preact/hooks';
import { refusal, signIn } from './session';

export function SignIn() {
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const given = field.current?.value.trim();
    if (given) signIn(given);
  };
  return (
    <main class="sign-in">
      <form class="card" onSubmit={submit}>
        <h1>
          <img src="/icon.svg" alt="" width="32" height="32" />
          Fieldwatch
        </h1>
        <label for="key">API key</label>
        <input id="key" ref={field} type="password" autocomplete="off" spellcheck={false} placeholder="fw_…" required autofocus />
        <button type="submit" class="primary">
          Sign in
        </button>
        <p role="alert" class="refused">
          {refusal.value}
        </p>
        <p class="faint">The key stays in this tab until it is closed.</p>
      </form>
    </main>
  );
}

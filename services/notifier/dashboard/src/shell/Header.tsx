import { counts, stream } from '../notifications/live';
import { place } from './place';
import { me, signOut } from './session';
import { nextTheme, theme } from './theme';

const SECTIONS = [
  { address: '/', names: [undefined, 'devices'], text: 'Fleet' },
  { address: '/notifications', names: ['notifications'], text: 'Notifications' },
  { address: '/scenes', names: ['scenes'], text: 'Scenes' },
  { address: '/silences', names: ['silences'], text: 'Silences' },
  { address: '/webhooks', names: ['webhooks'], text: 'Webhooks' },
] as const;

export function Header() {
  const section = place.value.path[0];
  return (
    <header class="top">
      <a class="brand" href="/">
        <img src="/icon.svg" alt="" width="24" height="24" />
        Fieldwatch
      </a>
      <nav aria-label="Sections">
        {SECTIONS.map(({ address, names, text }) => (
          <a key={address} href={address} aria-current={names.some((name) => name === section) ? 'page' : undefined}>
            {text}
            {text === 'Notifications' && <Unresolved />}
          </a>
        ))}
      </nav>
      <div class="session">
        <Connection />
        <button type="button" class="quiet" onClick={nextTheme} title="Light, dark, or as the system has it">
          {{ system: 'Auto', light: 'Light', dark: 'Dark' }[theme.value]}
          <span class="unseen"> theme</span>
        </button>
        <button type="button" class="quiet" onClick={() => signOut()} title={me.value ? `Key ${me.value.name}` : undefined}>
          Sign out
        </button>
      </div>
    </header>
  );
}

function Unresolved() {
  const unresolved = counts.value?.unresolved;
  if (!unresolved) return null;
  return (
    <span class="badge" data-severity={counts.value?.by_severity.CRITICAL ? 'CRITICAL' : 'WARNING'}>
      {unresolved}
      <span class="unseen"> unresolved</span>
    </span>
  );
}

function Connection() {
  const state = stream.value?.state.value ?? 'connecting';
  return (
    <span class="connection" role="status" data-state={state}>
      {state}
    </span>
  );
}

import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { answered, api } from '../api/client';
import { DevicePage } from '../device/DevicePage';
import { Fleet } from '../fleet/Fleet';
import { counts } from '../notifications/live';
import { NotificationsPage } from '../notifications/NotificationsPage';
import { Scenes } from '../scenes/Scenes';
import { Silences } from '../settings/Silences';
import { Webhooks } from '../settings/Webhooks';
import { Header } from './Header';
import { NoticeBoard } from './NoticeBoard';
import { place } from './place';
import { key, me } from './session';
import { SignIn } from './SignIn';

export function App() {
  useSignalEffect(() => {
    if (!key.value) return;
    answered(api.GET('/v1/me'))
      .then((principal) => {
        me.value = principal;
      })
      .catch(() => undefined); // Without it the page is as for a key that only reads; the stream says that it cannot connect.
  });
  if (!key.value) return <SignIn />;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <Page />
      <NoticeBoard />
    </>
  );
}

function Page() {
  const [section, name] = place.value.path;
  const heading = useRef<HTMLElement>(null);
  const first = useRef(true);
  const title = section === 'devices' && name ? name : TITLES[section ?? ''] ?? 'Not found';
  useSignalEffect(() => {
    const unresolved = counts.value?.unresolved ?? 0;
    document.title = `${unresolved > 0 ? `(${unresolved}) ` : ''}${title} · Fieldwatch`;
  });
  // Who cannot see that the page changed hears it.
  useEffect(() => {
    if (!first.current) heading.current?.querySelector('h1')?.focus();
    first.current = false;
  }, [section, name]);
  return (
    <main id="main" ref={heading}>
      <View section={section} name={name} />
    </main>
  );
}

const TITLES: Record<string, string> = { '': 'Fleet', notifications: 'Notifications', scenes: 'Scenes', silences: 'Silences', webhooks: 'Webhooks' };

function View({ section, name }: { section?: string; name?: string }) {
  switch (section) {
    case undefined:
      return <Fleet />;
    case 'devices':
      return name ? <DevicePage key={name} id={name} /> : <Fleet />;
    case 'notifications':
      return <NotificationsPage />;
    case 'scenes':
      return <Scenes />;
    case 'silences':
      return <Silences />;
    case 'webhooks':
      return <Webhooks selected={name} />;
    default:
      return <h1 tabIndex={-1}>There is no such page.</h1>;
  }
}

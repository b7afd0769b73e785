import './styles/base.css';
import './styles/controls.css';
import './styles/notifications.css';
import './styles/fleet.css';
import './styles/device.css';
import './styles/commands.css';
import './styles/settings.css';
import { render } from 'preact';
import { follow } from './notifications/live';
import { App } from './shell/App';
import { followLinks } from './shell/place';
import { applyTheme } from './shell/theme';

applyTheme();
followLinks();
follow();
render(<App />, document.getElementById('page')!);

// The live list of unresolved notifications. One EventSource, opened with a ticket; `version` decides what is newer.
'use strict';

const STORED_KEY = 'fieldwatch-key';
const SEVERITIES = ['CRITICAL', 'WARNING', 'INFO', 'UNKNOWN'];
const LONGEST_PAUSE = 15_000;

const element = (id) => document.getElementById(id);
const notifications = new Map(); // id → notification
let key = sessionStorage.getItem(STORED_KEY);
let source = null;
let lastEventId = '';
let pause = 1_000;
let retry = 0;

async function api(path, options = {}) {
  const headers = { authorization: `Bearer ${key}`, ...options.headers };
  const response = await fetch(path, { ...options, headers });
  const body = response.status === 204 ? null : await response.json();
  if (response.ok) return body;
  const problem = new Error(body?.detail ?? response.statusText);
  problem.status = response.status;
  throw problem;
}

function show(state, text) {
  element('state').dataset.state = state;
  element('state').textContent = text;
}

function signOut(reason = '') {
  source?.close();
  clearTimeout(retry);
  sessionStorage.removeItem(STORED_KEY);
  key = null;
  lastEventId = '';
  notifications.clear();
  element('refused').textContent = reason;
  element('sign-in').hidden = false;
  element('board').hidden = true;
  element('sign-out').hidden = true;
  show('signed-out', 'signed out');
  element('key').focus();
}

async function connect() {
  source?.close();
  show('connecting', 'connecting');
  try {
    const { url } = await api('/v1/stream-tickets', { method: 'POST' });
    element('sign-in').hidden = true;
    element('board').hidden = false;
    element('sign-out').hidden = false;
    listen(lastEventId ? `${url}&last_event_id=${encodeURIComponent(lastEventId)}` : url);
  } catch (problem) {
    if (problem.status === 401 || problem.status === 403) return signOut(problem.message);
    later();
  }
}

function later() {
  show('reconnecting', 'reconnecting');
  clearTimeout(retry);
  retry = setTimeout(connect, pause * (0.5 + Math.random() / 2));
  pause = Math.min(pause * 2, LONGEST_PAUSE);
}

function listen(url) {
  source = new EventSource(url);
  source.onopen = () => {
    pause = 1_000;
    show('live', 'live');
  };
  // The browser reconnects by itself while the server answers; otherwise with a new ticket.
  source.onerror = () => (source.readyState === EventSource.CLOSED ? later() : show('reconnecting', 'reconnecting'));
  source.addEventListener('snapshot', (event) => {
    remember(event);
    const snapshot = JSON.parse(event.data);
    notifications.clear();
    snapshot.notifications.forEach(take);
    element('notice').textContent = snapshot.truncated ? 'Only the latest 200 are shown.' : '';
    drawCounts(snapshot.counts);
    draw();
  });
  source.addEventListener('notification', (event) => {
    remember(event);
    take(JSON.parse(event.data));
    draw();
  });
  source.addEventListener('counts', (event) => drawCounts(JSON.parse(event.data)));
}

function remember(event) {
  if (event.lastEventId) lastEventId = event.lastEventId;
}

function take(notification) {
  const known = notifications.get(notification.notification_id);
  if (known && known.version >= notification.version) return;
  if (notification.state === 'RESOLVED') notifications.delete(notification.notification_id);
  else notifications.set(notification.notification_id, notification);
}

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const latestFirst = [...notifications.values()].sort((a, b) => b.opened_at.localeCompare(a.opened_at));
    const focused = document.activeElement?.dataset?.for;
    element('notifications').replaceChildren(...latestFirst.slice(0, 200).map(item));
    if (focused) document.querySelector(`[data-for="${CSS.escape(focused)}"]`)?.focus();
    element('empty').hidden = latestFirst.length > 0;
  });
}

function item(notification) {
  const node = element('notification').content.cloneNode(true);
  const part = (selector) => node.querySelector(selector);
  part('li').dataset.severity = notification.severity;
  part('li').dataset.state = notification.state;
  part('.severity').textContent = notification.severity.toLowerCase();
  part('.title').textContent = notification.title;
  part('time').dateTime = notification.opened_at;
  part('time').textContent = new Date(notification.opened_at).toLocaleTimeString();
  part('time').title = new Date(notification.opened_at).toLocaleString();
  part('.body').textContent = notification.body;
  part('.facts').textContent = [
    notification.kind,
    notification.device_id,
    notification.group_id,
    notification.occurrences > 1 ? `${notification.occurrences} times` : null,
    notification.acknowledged_by ? `acknowledged by ${notification.acknowledged_by}` : null,
  ].filter(Boolean).join(' · ');
  const acknowledged = notification.state === 'ACKNOWLEDGED';
  part('[data-action=acknowledge]').hidden = acknowledged;
  part('[data-action=unacknowledge]').hidden = !acknowledged;
  node.querySelectorAll('button').forEach((button) => {
    button.dataset.for = `${button.dataset.action} ${notification.notification_id}`;
    button.onclick = () => act(button, notification);
  });
  const runbook = notification.links.runbook ?? '';
  part('.runbook').hidden = !/^https?:\/\//.test(runbook);
  if (/^https?:\/\//.test(runbook)) part('.runbook').href = runbook;
  return node;
}

async function act(button, notification) {
  button.disabled = true;
  element('notice').textContent = '';
  try {
    const path = `/v1/notifications/${encodeURIComponent(notification.notification_id)}/${button.dataset.action}`;
    take(await api(path, { method: 'POST', headers: { 'if-match': `"${notification.version}"` } }));
  } catch (problem) {
    element('notice').textContent = problem.status === 412 ? 'It has just changed; look again.' : problem.message;
    button.disabled = false;
  }
  draw();
}

function drawCounts(counts) {
  const entries = SEVERITIES.filter((severity) => severity !== 'UNKNOWN' || counts.by_severity.UNKNOWN > 0);
  element('counts').replaceChildren(...entries.map((severity) => {
    const entry = document.createElement('li');
    entry.dataset.severity = severity;
    entry.textContent = `${counts.by_severity[severity]} ${severity.toLowerCase()}`;
    return entry;
  }));
  document.title = counts.unresolved > 0 ? `(${counts.unresolved}) Fieldwatch` : 'Fieldwatch';
}

element('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  key = element('key').value.trim();
  sessionStorage.setItem(STORED_KEY, key);
  element('key').value = '';
  element('refused').textContent = '';
  connect();
});
element('sign-out').addEventListener('click', () => signOut());

if (key) connect();
else signOut();

/* global document, EventSource */
// The status page's script: shows what `/status/events` tells. All text is put in as text, never as HTML.

const MOST_ROWS = 500;
const OVER = new Set(['gone', 'failed']);
const at = (id) => document.getElementById(id);

let view = null;
let connected = false;

function element(tag, classes = '', text = '') {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text) made.textContent = text;
  return made;
}

/** Changes only what differs, so that a selection or the focus stays. */
function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function plural(count, one) {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

/** At most two units: `3h 12m`. */
function lasted(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const units = [
    [Math.floor(seconds / 86400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = units.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  const shown = units.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count}${unit}`).join(' ');
}

/** The server's clock, as far as it is known: the reader's own may be wrong. */
let skew = 0;
const now = () => Date.now() + skew;
const since = (iso) => now() - Date.parse(iso);

function workflowLink(status, id) {
  const path = `/namespaces/${encodeURIComponent(status.namespace)}/workflows/${encodeURIComponent(id)}`;
  return `${status.temporalUi.replace(/\/$/, '')}${path}`;
}

/** Text that leads to a workflow in Temporal's UI, where there is one. */
function linked(parent, text, status, id) {
  let link = parent.firstElementChild;
  if (!link) {
    link = element('a', '', text);
    parent.append(link);
  }
  say(link, text);
  if (status.temporalUi === null) link.removeAttribute('href');
  else link.href = workflowLink(status, id);
}

/** One child of `parent` for each item, kept by key from one second to the next, in the items' order. */
function keep(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  for (const child of known.values()) child.remove();
}

function makeGroup() {
  const card = element('article', 'group');
  const head = element('header');
  head.append(element('h3'), element('span', 'quiet backend'));
  const bar = element('div', 'bar');
  bar.setAttribute('role', 'img');
  for (const kind of ['busy', 'ready', 'waiting', 'most']) bar.append(element('div', kind));
  card.append(head, bar, element('p', 'facts'), element('p', 'notes'), element('p', 'labels'));
  return card;
}

function updateGroup(card, group) {
  const { busy, ready, waiting, max, min } = group;
  linked(card.querySelector('h3'), group.name, view.status, `group/${group.name}`);
  say(card.querySelector('.backend'), group.backend);
  const whole = Math.max(max, busy + ready + waiting, 1);
  const bar = card.querySelector('.bar');
  for (const [kind, count] of Object.entries({ busy, ready, waiting })) {
    bar.querySelector(`.${kind}`).style.width = `${(100 * count) / whole}%`;
  }
  bar.querySelector('.most').style.left = `${(100 * max) / whole}%`;
  const words = `${busy} busy, ${ready} ready, ${waiting} waiting, of at most ${max}`;
  bar.setAttribute('aria-label', words);
  const facts = [
    [busy, 'busy'],
    [ready, 'ready'],
    [waiting, 'waiting'],
    [max, min > 0 ? `max, min ${min}` : 'max'],
  ];
  keep(
    card.querySelector('.facts'),
    facts.map(([count, name], index) => ({ count, name, index: String(index) })),
    (fact) => fact.index,
    () => {
      const fact = element('span');
      fact.append(element('b'), document.createTextNode(''));
      return fact;
    },
    (fact, { count, name }) => {
      say(fact.firstChild, String(count));
      fact.lastChild.data = ` ${name}`;
    },
  );
  const notes = card.querySelector('.notes');
  const lines = [];
  if (group.oldestWaitingSince !== null) lines.push(`oldest job waits ${lasted(since(group.oldestWaitingSince))}`);
  if (group.backoffUntil !== null) {
    lines.push(`starts are held back after failures, ${lasted(-since(group.backoffUntil))} more`);
  }
  if (group.removed) lines.unshift('removed from the configuration, draining');
  else if (group.mode !== 'active') lines.unshift(group.mode);
  if (group.wantedSlots > 0) lines.push(`${plural(group.wantedSlots, 'runner')} wait for a place on ${group.backend}`);
  notes.classList.toggle('late', group.backoffUntil !== null);
  notes.hidden = lines.length === 0;
  say(notes, lines.join(' · '));
  keep(
    card.querySelector('.labels'),
    group.labels,
    (label) => label,
    (label) => element('span', '', label),
    () => {},
  );
}

function makeRow() {
  const row = element('tr');
  const name = element('th');
  name.scope = 'row';
  const phase = element('td', 'phase');
  phase.append(element('span', 'pill'));
  row.append(name, phase, makeJob(), element('td', 'place quiet'), element('td', 'number age'));
  return row;
}

function makeJob() {
  const cell = element('td', 'job');
  cell.append(element('span', 'repository'), element('a'), element('small', 'quiet used'));
  return cell;
}

/** Its repository, its name as the forge shows it, and what it used where that is recorded. */
function updateJob(cell, { repository, workflow, job, jobId, jobUrl, resources }) {
  const title = [workflow, job].filter(Boolean).join(' / ') || (jobId === null ? '' : `job\u00a0${jobId}`);
  say(cell.querySelector('.repository'), repository === null ? '–' : title === '' ? repository : `${repository} · `);
  const link = cell.querySelector('a');
  say(link, title);
  if (jobUrl === null) link.removeAttribute('href');
  else link.href = jobUrl;
  const used = cell.querySelector('.used');
  say(used, resources ?? '');
  used.hidden = resources === null;
}

function updateRow(row, runner) {
  row.className = OVER.has(runner.phase) ? 'over' : '';
  linked(row.querySelector('th'), runner.name, view.status, `runner/${runner.group}/${runner.name}`);
  const pill = row.querySelector('.pill');
  pill.className = `pill ${runner.phase}`;
  say(pill, runner.phase);
  updateJob(row.querySelector('.job'), runner);
  say(row.querySelector('.place'), runner.backend);
  const end = runner.closedAt === null ? now() : Date.parse(runner.closedAt);
  say(row.querySelector('.age'), lasted(end - Date.parse(runner.startedAt)));
}

function showRunners(status) {
  const open = status.runners.filter((runner) => runner.closedAt === null && !OVER.has(runner.phase));
  const over = status.runners.filter((runner) => !open.includes(runner));
  open.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  over.sort((a, b) => (b.closedAt ?? '').localeCompare(a.closedAt ?? ''));
  const rows = [...open, ...over].slice(0, MOST_ROWS);
  keep(at('rows'), rows, (runner) => runner.name, makeRow, updateRow);
  at('runners').hidden = rows.length === 0;
  at('no-runners').hidden = rows.length > 0;
  const hidden = status.runners.length - rows.length;
  const parts = [`${open.length} at work`];
  if (over.length > 0) parts.push(`${over.length} ended`);
  if (hidden > 0) parts.push(`${hidden} more in the JSON`);
  say(at('runners-count'), status.runners.length > 0 ? parts.join(', ') : '');
}

function problemText() {
  if (!connected) return 'This page’s server does not answer: what is shown is old. It is asked again and again.';
  if (view !== null && view.problem !== null) {
    const shown = view.status === null ? '' : ' What is shown is its last answer.';
    const words = `${view.problem.charAt(0).toUpperCase()}${view.problem.slice(1)}.`;
    const webhooks = view.problem.startsWith('NATS')
      ? 'Until it does, webhooks are answered with 503.'
      : 'Webhooks are still taken, and kept until it does.';
    return `${words}${shown} ${webhooks}`;
  }
  return '';
}

function forgeText({ name, waiting, remaining, limit, blockedUntil }) {
  const calls = `${plural(waiting, 'call')} wait${waiting === 1 ? 's' : ''}`;
  if (blockedUntil !== null) return `the forge wants no calls of ${name} for ${lasted(-since(blockedUntil))}: ${calls}`;
  const left = limit === null ? '' : `, ${remaining} of ${limit} left this hour`;
  return `${name}: ${calls} for the forge’s rate limit${left}`;
}

function show() {
  const problem = problemText();
  const status = view?.status ?? null;
  say(at('problem'), problem);
  at('problem').hidden = problem === '' || (view === null && !connected && now() - began < 2000);
  document.querySelector('main').hidden = status === null;
  document.body.classList.toggle('old', problem !== '' && status !== null);
  at('fresh').className = `fresh ${problem === '' ? 'live' : 'stale'}`;
  if (status === null) {
    say(at('fresh-text'), connected ? 'no answer yet' : 'connecting…');
    return;
  }
  const age = since(status.at);
  say(at('fresh-text'), problem === '' && age < 5000 ? 'live' : `as of ${lasted(age)} ago`);
  const busy = status.groups.reduce((sum, group) => sum + group.busy, 0);
  const waiting = status.groups.reduce((sum, group) => sum + group.waiting, 0);
  document.title = `${busy} busy, ${waiting} waiting · Baton`;
  say(at('installation'), status.installation);
  keep(at('groups'), status.groups, (group) => group.name, makeGroup, updateGroup);
  showRunners(status);
  const dead = at('dead');
  dead.classList.toggle('some', status.deadLetters > 0);
  const count = plural(status.deadLetters, 'dead letter');
  say(dead, status.deadLetters > 0 ? `${count}: jobs or messages that nobody could serve` : count);
  keep(
    at('unserved'),
    status.unserved.map((letter) => ({ ...letter, key: letter.at + letter.reason })),
    (letter) => letter.key,
    () => element('li'),
    (line, letter) => say(line, `${lasted(since(letter.at))} ago, ${letter.code}: ${letter.reason}`),
  );
  keep(
    at('forge'),
    status.forge.filter((limit) => limit.blockedUntil !== null || limit.waiting > 0),
    (limit) => limit.name,
    () => element('li'),
    (line, limit) => say(line, forgeText(limit)),
  );
  const ui = at('ui');
  ui.hidden = status.temporalUi === null;
  if (status.temporalUi !== null) ui.href = status.temporalUi;
}

const began = Date.now();
const events = new EventSource('/status/events');
events.addEventListener('open', () => {
  connected = true;
  show();
});
events.addEventListener('error', () => {
  connected = false;
  show();
});
events.addEventListener('status', (event) => {
  view = JSON.parse(event.data);
  skew = Date.parse(view.at) - Date.now();
  connected = true;
  show();
});
setInterval(show, 1000);

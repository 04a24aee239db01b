/* global document, receiveStatus */
// The script of the status page: renders the events of `/status/events`. Sets all text as text, never as HTML.

const MAX_ROWS = 500;
const ENDED_PHASES = new Set(['gone', 'failed']);
const byId = (id) => document.getElementById(id);

let view = null;
let connected = false;
/** Whether the server sends no events, as too many pages are open. */
let polling = false;

function createElement(tag, classes = '', text = '') {
  const created = document.createElement(tag);
  if (classes) created.className = classes;
  if (text) created.textContent = text;
  return created;
}

/** Changes only text that differs, so that the reader's selection and focus stay. */
function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

function plural(count, one) {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}

/** `1 runner waits`, `2 runners wait`. */
function countWaiting(count, one) {
  return `${plural(count, one)} wait${count === 1 ? 's' : ''}`;
}

/** At most two units: `3h 12m`. */
function formatDuration(ms) {
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

/** Offset of the server's clock from the reader's, which may be wrong. */
let clockOffset = 0;
const now = () => Date.now() + clockOffset;
const elapsedSince = (iso) => now() - Date.parse(iso);

function workflowLink(status, id) {
  const path = `/namespaces/${encodeURIComponent(status.namespace)}/workflows/${encodeURIComponent(id)}`;
  return `${status.temporalUi.replace(/\/$/, '')}${path}`;
}

/** Links `text` to the workflow in Temporal's UI, where there is one. */
function setWorkflowLink(parent, text, status, id) {
  let link = parent.firstElementChild;
  if (!link) {
    link = createElement('a', '', text);
    parent.append(link);
  }
  setText(link, text);
  if (status.temporalUi === null) link.removeAttribute('href');
  else link.href = workflowLink(status, id);
}

/** Gives `parent` one child for each item, in the items' order. Updates the children that exist, by key. */
function syncChildren(parent, items, getKey, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = getKey(item);
    let child = known.get(key);
    known.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  for (const child of known.values()) child.remove();
}

function createGroup() {
  const card = createElement('article', 'group');
  const head = createElement('header');
  head.append(createElement('h3'), createElement('span', 'quiet backend'));
  const bar = createElement('div', 'bar');
  bar.setAttribute('role', 'img');
  for (const kind of ['busy', 'ready', 'waiting', 'max']) bar.append(createElement('div', kind));
  card.append(head, bar, createElement('p', 'facts'), createElement('p', 'notes'), createElement('p', 'labels'));
  return card;
}

function updateGroup(card, group) {
  const { busy, ready, waiting, max, min } = group;
  setWorkflowLink(card.querySelector('h3'), group.name, view.status, `group/${group.name}`);
  setText(card.querySelector('.backend'), group.backend);
  const whole = Math.max(max, busy + ready + waiting, 1);
  const bar = card.querySelector('.bar');
  for (const [kind, count] of Object.entries({ busy, ready, waiting })) {
    bar.querySelector(`.${kind}`).style.width = `${(100 * count) / whole}%`;
  }
  bar.querySelector('.max').style.left = `${(100 * max) / whole}%`;
  const summary = `${busy} busy, ${ready} ready, ${waiting} waiting, of at most ${max}`;
  bar.setAttribute('aria-label', summary);
  const facts = [
    [busy, 'busy'],
    [ready, 'ready'],
    [waiting, 'waiting'],
    [max, min > 0 ? `max, min ${min}` : 'max'],
  ];
  syncChildren(
    card.querySelector('.facts'),
    facts.map(([count, name], index) => ({ count, name, index: String(index) })),
    (fact) => fact.index,
    () => {
      const fact = createElement('span');
      fact.append(createElement('b'), document.createTextNode(''));
      return fact;
    },
    (fact, { count, name }) => {
      setText(fact.firstChild, String(count));
      fact.lastChild.data = ` ${name}`;
    },
  );
  const notes = card.querySelector('.notes');
  const lines = [];
  if (group.oldestWaitingSince !== null)
    lines.push(`oldest job has waited ${formatDuration(elapsedSince(group.oldestWaitingSince))}`);
  if (group.backoffUntil !== null) {
    lines.push(`starts are held back after failures for another ${formatDuration(-elapsedSince(group.backoffUntil))}`);
  }
  if (group.pace !== null) {
    const runners = group.busy + group.ready + group.leaving;
    lines.push(`${runners} of ${runners + group.pace.heldBack} started; ${group.pace.reason}`);
  }
  if (group.passedOver !== null) {
    const next = formatDuration(-elapsedSince(group.passedOver.nextTryAt));
    lines.push(`${group.passedOver.jobs} of the waiting jobs passed over by idle runners, next try in ${next}`);
  }
  if (group.removed) lines.unshift('removed from the configuration: draining');
  else if (group.mode !== 'active') lines.unshift(group.mode);
  if (group.wantedSlots > 0) lines.push(`${countWaiting(group.wantedSlots, 'runner')} for a slot on ${group.backend}`);
  if (group.leaving > 0) lines.push(`${group.leaving} leaving`);
  if (group.lingering > 0) lines.push(`${countWaiting(group.lingering, 'registration')} for GitHub to let go`);
  notes.classList.toggle('late', group.backoffUntil !== null || group.pace !== null || group.passedOver !== null);
  notes.hidden = lines.length === 0;
  setText(notes, lines.join(' · '));
  syncChildren(
    card.querySelector('.labels'),
    group.labels,
    (label) => label,
    (label) => createElement('span', '', label),
    () => {},
  );
}

function createRow() {
  const row = createElement('tr');
  const name = createElement('th');
  name.scope = 'row';
  const phase = createElement('td', 'phase');
  phase.append(createElement('span', 'pill'));
  row.append(name, phase, createJob(), createElement('td', 'backend quiet'), createElement('td', 'number age'));
  return row;
}

function createJob() {
  const cell = createElement('td', 'job');
  cell.append(createElement('span', 'repository'), createElement('a'), createElement('small', 'quiet used'));
  return cell;
}

/** Repository, the job's name as the forge shows it, and the resources it used where they are recorded. */
function updateJob(cell, { repository, workflow, job, jobId, jobUrl, resources }) {
  const title = [workflow, job].filter(Boolean).join(' / ') || (jobId === null ? '' : `job\u00a0${jobId}`);
  setText(
    cell.querySelector('.repository'),
    repository === null ? '–' : title === '' ? repository : `${repository} · `,
  );
  const link = cell.querySelector('a');
  setText(link, title);
  if (jobUrl === null) link.removeAttribute('href');
  else link.href = jobUrl;
  const used = cell.querySelector('.used');
  setText(used, resources ?? '');
  used.hidden = resources === null;
}

function updateRow(row, runner) {
  row.className = ENDED_PHASES.has(runner.phase) ? 'ended' : '';
  setWorkflowLink(row.querySelector('th'), runner.name, view.status, `runner/${runner.group}/${runner.name}`);
  const pill = row.querySelector('.pill');
  pill.className = `pill ${runner.phase}`;
  setText(pill, runner.phase);
  updateJob(row.querySelector('.job'), runner);
  setText(row.querySelector('.backend'), runner.backend);
  const end = runner.closedAt === null ? now() : Date.parse(runner.closedAt);
  setText(row.querySelector('.age'), formatDuration(end - Date.parse(runner.startedAt)));
}

function renderRunners(status) {
  const open = status.runners.filter((runner) => runner.closedAt === null && !ENDED_PHASES.has(runner.phase));
  const ended = status.runners.filter((runner) => !open.includes(runner));
  open.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  ended.sort((a, b) => (b.closedAt ?? '').localeCompare(a.closedAt ?? ''));
  const rows = [...open, ...ended].slice(0, MAX_ROWS);
  syncChildren(byId('rows'), rows, (runner) => runner.name, createRow, updateRow);
  byId('runners').hidden = rows.length === 0;
  byId('no-runners').hidden = rows.length > 0;
  const hidden = status.runners.length - rows.length;
  const parts = [`${open.length} active`];
  if (ended.length > 0) parts.push(`${ended.length} ended`);
  if (hidden > 0) parts.push(`${hidden} more in the JSON`);
  setText(byId('runners-count'), status.runners.length > 0 ? parts.join(', ') : '');
}

function describeProblem() {
  const outdated = view?.status ? ' The data below is outdated.' : '';
  if (!connected) return `Cannot reach Baton. Trying again.${outdated}`;
  if (view !== null && view.problem !== null) {
    const problem = `${view.problem.charAt(0).toUpperCase()}${view.problem.slice(1)}.`;
    const webhooks = view.problem.startsWith('NATS')
      ? 'Until it does, Baton answers webhooks with 503.'
      : 'Baton still accepts webhooks and stores them until it does.';
    return `${problem} ${webhooks}${outdated}`;
  }
  return '';
}

const FORGE_CALLS = { registration: 'registration', removal: 'removal', background: 'other request' };

/** What waits, what is under way, and what holds it back; by priority. */
function describeForgeLimit({ name, calls, limit, remaining, blockedBy, pointsPerMinute, maxInFlight }) {
  const parts = calls
    .filter(({ waiting }) => waiting > 0)
    .map(({ priority, waiting, longestWaitMs }) => {
      return `${countWaiting(waiting, FORGE_CALLS[priority])}, the longest for ${formatDuration(longestWaitMs)}`;
    });
  if (blockedBy !== null) parts.unshift(blockedBy);
  const inFlight = calls.reduce((sum, call) => sum + call.inFlight, 0);
  if (inFlight > 0) parts.push(`${inFlight} of ${maxInFlight} requests at once`);
  const used = calls.filter(({ pointsUsed }) => pointsUsed > 0);
  if (pointsPerMinute !== null && used.length > 0) {
    const total = used.reduce((sum, call) => sum + call.pointsUsed, 0);
    const byPriority = used.map(({ priority, pointsUsed }) => `${priority} ${pointsUsed}`).join(', ');
    parts.push(`${total} of ${pointsPerMinute} points in the last minute (${byPriority})`);
  }
  if (limit !== null && remaining !== null) parts.push(`${remaining} of ${limit} left this hour`);
  return `${name}: ${parts.join('; ')}`;
}

function isForgeBusy({ calls, blockedBy }) {
  return blockedBy !== null || calls.some((call) => call.waiting > 0 || call.inFlight > 0 || call.pointsUsed > 0);
}

function render() {
  const problem = describeProblem();
  const status = view?.status ?? null;
  setText(byId('problem'), problem);
  byId('problem').hidden = problem === '' || (view === null && !connected && now() - began < 2000);
  document.querySelector('main').hidden = status === null;
  document.body.classList.toggle('old', problem !== '' && status !== null);
  byId('fresh').className = `fresh ${problem === '' ? 'live' : 'stale'}`;
  if (status === null) {
    setText(byId('fresh-text'), connected ? 'no answer yet' : 'connecting…');
    return;
  }
  const age = elapsedSince(status.at);
  const often = polling ? '; too many pages are open: every 10s' : '';
  setText(
    byId('fresh-text'),
    problem === '' && age < 5000 && !polling ? 'live' : `updated ${formatDuration(age)} ago${often}`,
  );
  const busy = status.groups.reduce((sum, group) => sum + group.busy, 0);
  const waiting = status.groups.reduce((sum, group) => sum + group.waiting, 0);
  document.title = `${busy} busy, ${waiting} waiting · Baton`;
  setText(byId('installation'), status.installation);
  setText(byId('older-file'), status.olderFile ?? '');
  byId('older-file').hidden = !status.olderFile;
  syncChildren(byId('groups'), status.groups, (group) => group.name, createGroup, updateGroup);
  renderRunners(status);
  const dead = byId('dead');
  dead.classList.toggle('some', status.deadLetters > 0);
  const count = plural(status.deadLetters, 'dead letter');
  setText(dead, status.deadLetters > 0 ? `${count}: jobs or messages that Baton could not process` : count);
  syncChildren(
    byId('unserved'),
    status.unserved.map((deadLetter) => ({ ...deadLetter, key: deadLetter.at + deadLetter.reason })),
    (deadLetter) => deadLetter.key,
    () => createElement('li'),
    (line, { at, code, reason }) => setText(line, `${formatDuration(elapsedSince(at))} ago, ${code}: ${reason}`),
  );
  syncChildren(
    byId('forge'),
    status.forge.filter(isForgeBusy),
    (limit) => limit.name,
    () => createElement('li'),
    (line, limit) => {
      line.className = limit.blockedBy === null ? '' : 'blocked';
      setText(line, describeForgeLimit(limit));
    },
  );
  const ui = byId('ui');
  ui.hidden = status.temporalUi === null;
  if (status.temporalUi !== null) ui.href = status.temporalUi;
}

const began = Date.now();
receiveStatus((received, state) => {
  ({ connected, polling } = state);
  if (received !== null) {
    view = received;
    clockOffset = Date.parse(view.at) - Date.now();
  }
  render();
});
setInterval(render, 1000);

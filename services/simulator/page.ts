/** The simulator's page: runs, jobs, their runners and logs, refreshed every second. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GitHub simulator</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --line: #8884; --soft: #8881; --muted: #777; --ok: #1a7f37; --bad: #d1242f; --run: #9a6700; }
  body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1.5rem; }
  h1 { font-size: 1.3rem; margin: 0; }
  header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap; margin-bottom: 1.5rem; }
  header span, .muted { color: var(--muted); }
  section { border: 1px solid var(--line); border-radius: 8px; margin-bottom: 1rem; overflow: hidden; }
  section > h2 { font-size: 1rem; margin: 0; padding: .6rem 1rem; background: var(--soft); display: flex; gap: .6rem; }
  section > h2 small { font-weight: normal; color: var(--muted); margin-left: auto; }
  details { border-top: 1px solid var(--line); padding: .4rem 1rem; }
  summary { cursor: pointer; display: flex; gap: .6rem; }
  summary .who { margin-left: auto; color: var(--muted); }
  pre { background: var(--soft); border-radius: 6px; padding: .7rem; margin: .4rem 0; overflow: auto; font-size: 13px; max-height: 24rem; }
  .success { color: var(--ok); } .failure { color: var(--bad); }
  .in_progress { color: var(--run); } .queued, .waiting, .skipped, .cancelled { color: var(--muted); }
  table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem 1rem; font-weight: normal; }
  th { color: var(--muted); }
</style>
<header><h1>GitHub simulator</h1><span id="counts" role="status"></span></header>
<main id="runs"><p class="muted">Loading…</p></main>
<section><h2>Runners</h2><table><thead><tr><th>Name<th>Labels<th>Scope<th>State</thead><tbody id="runners"></tbody></table></section>
<script>
const signs = { success: '✓', failure: '✗', cancelled: '⊘', skipped: '–', in_progress: '●', queued: '○', waiting: '…' };
const open = new Set([location.pathname.split('/job/')[1]]);
const logs = new Map();
let shown = '';
const element = (tag, attributes, ...children) => {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...children);
  return made;
};
const sign = (item) => {
  const state = item.conclusion ?? item.status;
  return element('span', { className: state, title: state, ariaLabel: state }, signs[state] ?? '?');
};
const seconds = (job) => {
  if (!job.startedAt) return '';
  return ((Date.parse(job.completedAt ?? new Date().toISOString()) - Date.parse(job.startedAt)) / 1000).toFixed(1) + ' s';
};
function jobElement(job) {
  const box = element('details', { id: 'job-' + job.id, open: open.has(String(job.id)) },
    element('summary', {}, sign(job), job.name,
      element('span', { className: 'who' }, [job.runner ?? job.assignedTo ?? job.labels.join(', '), seconds(job)].filter(Boolean).join(' · '))));
  box.addEventListener('toggle', () => { box.open ? open.add(String(job.id)) : open.delete(String(job.id)); });
  const known = logs.get(job.id);
  for (const note of job.annotations) box.append(element('p', { className: note.level }, note.message));
  for (const step of known?.steps ?? []) {
    box.append(element('div', {}, sign(step), ' ' + step.name));
    if (step.log.length) box.append(element('pre', {}, step.log.join('\\n')));
  }
  return box;
}
async function refresh() {
  try {
    const state = await (await fetch('/_sim/state?limit=50')).json();
    for (const run of state.runs) for (const job of run.jobs) {
      if (open.has(String(job.id)) && logs.get(job.id)?.status !== 'completed') {
        logs.set(job.id, await (await fetch('/_sim/jobs/' + job.id)).json());
      }
    }
    const { counts, webhooks } = state;
    document.getElementById('counts').textContent = counts.queued + ' queued · ' + counts.inProgress + ' running · ' +
      counts.completed + ' completed · ' + counts.runners + ' runners · ' + webhooks.deliveries + ' webhooks';
    // Nothing has changed: the page stays as it is, so that its reader is not disturbed.
    const now = JSON.stringify([state.runs, state.runners, [...logs]]);
    if (now !== shown) {
    shown = now;
    document.getElementById('runs').replaceChildren(...(state.runs.length ? state.runs.map((run) => element('section', {},
      element('h2', {}, sign(run), run.workflow, element('small', {}, run.repository + ' #' + run.number + (run.attempt > 1 ? ' · attempt ' + run.attempt : ''))),
      ...run.jobs.map(jobElement), ...run.pending.map((name) => element('details', {}, element('summary', { className: 'waiting' }, '… ' + name)))))
      : [element('p', { className: 'muted' }, 'No workflow has run yet.')]));
    document.getElementById('runners').replaceChildren(...state.runners.map((runner) => element('tr', {},
      element('td', {}, runner.name), element('td', {}, runner.labels.join(', ')), element('td', {}, runner.scope),
      element('td', {}, runner.busy ? 'busy' : runner.online ? 'idle' : 'offline'))));
    }
  } catch {
    document.getElementById('counts').textContent = 'no answer';
  }
  setTimeout(refresh, 1000);
}
refresh();
</script>
`;

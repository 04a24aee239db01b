/* global EventSource, fetch, location */
// Receives the status for the script beside this one: as events, or by polling while the server has too many open pages.

const POLL_INTERVAL_MS = 10_000;

/** Calls `onChange` with each view, or null where only the state has changed: `{ connected, polling }`. */
function receiveStatus(onChange) {
  const state = { connected: false, polling: false };
  const change = (changed, view = null) => onChange(view, Object.assign(state, changed));

  /** Asks once, and tries to get events again after a while. */
  async function poll() {
    try {
      const response = await fetch('/status.json', { cache: 'no-store' });
      // Signed out: the page leads to the login.
      if (response.status === 401) return location.reload();
      change({ connected: true, polling: true }, await response.json());
    } catch {
      change({ connected: false });
    }
    return setTimeout(connect, POLL_INTERVAL_MS);
  }

  function connect() {
    const events = new EventSource('/status/events');
    events.addEventListener('open', () => change({ connected: true, polling: false }));
    events.addEventListener('status', (event) => change({ connected: true }, JSON.parse(event.data)));
    events.addEventListener('error', () => {
      // The browser tries again by itself, unless the server answered with an error.
      if (events.readyState === EventSource.CLOSED) void poll();
      else change({ connected: false });
    });
  }

  connect();
}

globalThis.receiveStatus = receiveStatus;

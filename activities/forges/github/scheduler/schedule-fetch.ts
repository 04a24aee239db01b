import { BatonError, getErrorMessage } from '../../../../contracts/errors.ts';
import type { CallOutcome } from './blocks.ts';
import { classifyCall, isRead, isRepeatable, type Priority } from './call.ts';
import type { Ticket } from './call-queue.ts';
import { findReachedLimit, readPrimaryLimit, type ForgeAnswer } from './limits.ts';
import type { CallResult, CallScheduler } from './scheduler.ts';

/** A call without an answer by then has none. GitHub itself ends its requests after ten seconds. */
const TIMEOUT_MS: Readonly<Record<Priority, number>> = { registration: 30_000, removal: 60_000, background: 60_000 };
/**
 * Whoever has to wait for longer plans it: a workflow's timer is durable, a process's is not. Longer than the window of the
 * budget, so that a call that finds it full is sent when it is free again.
 */
const PATIENCE_MS = 75_000;
/** A call that may be repeated is sent again after these, where the forge fails. */
const RETRY_DELAYS_MS = [1000, 4000];

/**
 * `fetch` in front of GitHub: each attempt waits for its turn with the scheduler, ends after a while, and is sent again where a
 * limit or a failure allows it within the call's patience.
 *
 * A signal that fires (`request: { signal }` of Octokit) takes a call that still waits out of the queue. One that was sent and
 * changes something goes on: its answer still matters, a lost one would leave a change behind that nobody knows of.
 */
export function scheduleFetch(scheduler: CallScheduler, send: typeof fetch = fetch): typeof fetch {
  return async (input, init) => {
    const method = (init?.method ?? 'GET').toUpperCase();
    const { pathname, search } = new URL(input instanceof Request ? input.url : input);
    const call = classifyCall(method, pathname + search);
    const timeoutMs = TIMEOUT_MS[call.priority];
    const ticket = scheduler.createTicket({ ...call, timeoutMs }, PATIENCE_MS);
    for (let attempt = 0; ; attempt++) {
      const signal = init?.signal ?? undefined;
      await scheduler.admit(ticket, signal);
      const sentAt = scheduler.now();
      const timeout = AbortSignal.timeout(timeoutMs);
      const bound = signal !== undefined && isRead(method) ? AbortSignal.any([signal, timeout]) : timeout;
      let response: Response;
      try {
        response = await send(input, { ...init, signal: bound });
      } catch (error) {
        const withdrawn = bound.aborted && !timeout.aborted;
        const outcome = withdrawn ? ({ kind: 'withdrawn' } as const) : ({ kind: 'failed' } as const);
        scheduler.finish({ call: ticket.call, sentAt }, withdrawn ? 'abandoned' : 'failed', outcome);
        if (!withdrawn && isRepeatable(method) && canRetry(scheduler, ticket, attempt, signal)) continue;
        throw withdrawn ? error : toUnavailable(error, timeout.aborted ? timeoutMs : undefined);
      }
      if (response.redirected) scheduler.countRedirect(ticket.call);
      const answer = await readAnswer(response);
      const { result, outcome } = judge(answer, scheduler.now());
      scheduler.finish({ call: ticket.call, sentAt }, result, outcome, readPrimaryLimit(answer));
      const isAsked = signal?.aborted !== true;
      if (outcome.kind === 'limited' && isAsked && scheduler.canWait(ticket)) continue;
      if (outcome.kind === 'failed' && isRepeatable(method) && canRetry(scheduler, ticket, attempt, signal)) continue;
      return response;
    }
  };
}

function judge(answer: ForgeAnswer, now: number): { result: CallResult; outcome: CallOutcome } {
  const limit = findReachedLimit(answer, now);
  if (limit !== undefined) return { result: 'limited', outcome: { kind: 'limited', limit } };
  if (answer.status >= 500) return { result: 'failed', outcome: { kind: 'failed' } };
  return { result: answer.status < 400 ? 'ok' : 'refused', outcome: { kind: 'answered' } };
}

/** Plans another attempt, where the call's patience allows it. */
function canRetry(scheduler: CallScheduler, ticket: Ticket, attempt: number, signal: AbortSignal | undefined): boolean {
  const delay = RETRY_DELAYS_MS[attempt];
  if (delay === undefined || signal?.aborted) return false;
  ticket.notBefore = scheduler.now() + delay;
  return scheduler.canWait(ticket);
}

/** The body is read only where it may tell of a limit, and stays readable for the caller. */
async function readAnswer(response: Response): Promise<ForgeAnswer> {
  const { status, headers } = response;
  const tells = status === 403 || status === 429;
  const body = tells
    ? await response
        .clone()
        .text()
        .catch(() => '')
    : '';
  return { status, header: (name) => headers.get(name), body };
}

function toUnavailable(error: unknown, timeoutMs: number | undefined): BatonError {
  const cause = error instanceof TypeError && error.cause !== undefined ? error.cause : error;
  const text = timeoutMs === undefined ? getErrorMessage(cause) : `no answer within ${timeoutMs / 1000} s`;
  return new BatonError('FORGE_UNAVAILABLE', `GitHub did not answer: ${text}`, {
    cause: error,
    details: { sent: true },
  });
}

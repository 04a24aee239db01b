import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { STOP_GRACE_MS, type ActionRunner, type CompletionOutput, type ExecutionContext } from './action-runner.ts';
import type { ActionRequest } from './action-request.ts';
import { Output } from './capped-output.ts';
import type { ActionState, Report, Reporter } from './report.ts';
import { fired, createTimeoutSignal } from './timer.ts';
import { describeWrongFields } from '../../../contracts/lib/schema-errors.ts';

/** How long an ActionRunner that was told to end may take altogether, milliseconds: its grace, and some to clean up. */
const END_BOUND_MS = STOP_GRACE_MS + 5000;
/** How long the last report may take after a stop, milliseconds: whoever sent SIGTERM sends SIGKILL soon. */
const FAREWELL_MS = 2000;
/** How long the last report may take otherwise, milliseconds. */
const REPORT_BOUND_MS = 60_000;

export interface ManagerOptions<Input> {
  runner: ActionRunner<Input>;
  reporter: Reporter;
  log: Logger;
  /** Fires at SIGTERM. */
  stop: AbortSignal;
  /** Given what the action prints. Default: standard output. */
  write?: (text: string) => void;
  /** Fires when nobody waits for the last report any more. Default: a minute after the action's end. */
  reportUntil?: AbortSignal | undefined;
}

/** How an execution ended. */
export interface ExecutionResult {
  state: Exclude<ActionState, 'running'>;
  message: string;
  /** Whether the action was started at all. */
  started: boolean;
}

/**
 * What all ActionRunners have in common: parses the input, starts the action, reports that it runs, waits for its end within
 * its time, ends it at SIGTERM, and reports how it ended.
 */
export class Manager<Input> {
  readonly #options: ManagerOptions<Input>;

  constructor(options: ManagerOptions<Input>) {
    this.#options = options;
  }

  /** Executes the order. Never rejects: what goes wrong is the outcome, and has been reported. */
  async execute(order: ActionRequest): Promise<ExecutionResult> {
    // Timers here hold no process open, and an action may hold nothing: the last report must go out all the same.
    const alive = setInterval(() => undefined, 60_000);
    try {
      return await this.#run(order);
    } finally {
      clearInterval(alive);
    }
  }

  async #run(order: ActionRequest): Promise<ExecutionResult> {
    const { runner, reporter, log, stop } = this.#options;
    const timeout = order.timeoutMs === undefined ? new AbortController().signal : createTimeoutSignal(order.timeoutMs);
    const output = new Output(this.#options.write ?? ((text) => void process.stdout.write(text)));
    const context: ExecutionContext = {
      name: order.name,
      platform: order.platform,
      signal: AbortSignal.any([stop, timeout]),
      log,
      output: (text) => output.add(text),
    };
    const told: { status?: Report['status'] } = {};
    const reports = new AbortController();
    let reporting: Promise<void> = Promise.resolve();
    const report = (state: ActionState, message: string, exit?: CompletionOutput['exit']): void => {
      const at = new Date().toISOString();
      const news: Report = { state, at, message, status: told.status, exit, logTail: output.end() };
      reporting = reporting
        .then(() => reporter.report(context, news, reports.signal))
        .catch((error: unknown) => log.warn({ code: codeOf(error), reporter: reporter.name }, messageOf(error)));
    };

    let started = false;
    let result: CompletionOutput;
    try {
      const input = parseInput(runner, order.input);
      context.signal.throwIfAborted();
      const { status } = await bounded(runner.start(context, input), context.signal, 'it did not start');
      told.status = status;
      started = true;
      log.debug({ status }, 'started');
      report('running', `${runner.name} runs`);
      result = await bounded(runner.waitForCompletion(context, input), context.signal, 'it did not end');
    } catch (error) {
      const message = context.signal.aborted && !started ? 'ended before it was started' : messageOf(error);
      log.error({ code: codeOf(error) }, message);
      output.note(`${message}\n`);
      result = { succeeded: false, message };
    }
    const state = stop.aborted ? 'stopped' : timeout.aborted ? 'timed-out' : result.succeeded ? 'succeeded' : 'failed';
    const message = state === 'timed-out' ? `its time was over: ${result.message}` : result.message;
    const { omitted } = output;
    log.info({ state, ...result.exit, ...(omitted > 0 ? { omitted } : {}) }, message);
    report(state, message, result.exit);
    await Promise.race([reporting, this.#untilReportsEnd(reports)]);
    return { state, message, started };
  }

  /** Gives the last report its time; resolves, having told the reporter to give up, when that is over. */
  async #untilReportsEnd(reports: AbortController): Promise<void> {
    const { stop, reportUntil } = this.#options;
    const farewell = fired(stop).then(() => fired(createTimeoutSignal(FAREWELL_MS)));
    await Promise.race([farewell, fired(reportUntil ?? createTimeoutSignal(REPORT_BOUND_MS))]);
    reports.abort();
  }
}

/**
 * @throws BatonError INPUT_INVALID, naming the fields; not what stands in them, which may be a secret
 */
function parseInput<Input>(runner: ActionRunner<Input>, input: unknown): Input {
  const parsed = runner.input.safeParse(input);
  if (parsed.success) return parsed.data;
  const wrong = describeWrongFields(parsed.error, 'all of it');
  throw new BatonError('INPUT_INVALID', `reading the input of ${runner.name}: ${wrong}`);
}

/** Waits for it; once `abort` has fired, only for as long as ending may take. */
async function bounded<T>(work: Promise<T>, abort: AbortSignal, what: string): Promise<T> {
  const late = fired(abort)
    .then(() => fired(createTimeoutSignal(END_BOUND_MS)))
    .then(() => {
      throw new BatonError('PROGRAM_FAILED', `${what} within ${END_BOUND_MS / 1000} s of being told to end`);
    });
  return await Promise.race([work, late]);
}

function codeOf(error: unknown): string | undefined {
  return error instanceof BatonError ? error.code : undefined;
}

import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { describeWrongFields } from '../../../contracts/lib/schema-errors.ts';
import type { ActionRequest } from './action-request.ts';
import { STOP_GRACE_MS, type ActionRunner, type CompletionOutput, type ExecutionContext } from './action-runner.ts';
import { CappedOutput } from './capped-output.ts';
import type { ActionState, Report, Reporter } from './report.ts';
import { getErrorCode, ReportQueue } from './report-queue.ts';
import { createTimeoutSignal, waitForAbort } from './timer.ts';

/** How long an ActionRunner may take to stop: its grace period, and some time to clean up. */
const STOP_TIMEOUT_MS = STOP_GRACE_MS + 5000;

export interface ManagerOptions<Input> {
  runner: ActionRunner<Input>;
  reporter: Reporter;
  log: Logger;
  /** Fires at SIGTERM. */
  stop: AbortSignal;
  /** Receives what the action prints. Default: standard output. */
  write?: (text: string) => void;
  /** Fires when the last report is no longer of use. Default: a minute after the action's end. */
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
 * What all ActionRunners have in common: parses the input, starts the action, reports that it runs, waits for its end,
 * ends it at its timeout or at SIGTERM, and reports how it ended.
 */
export class Manager<Input> {
  readonly #options: ManagerOptions<Input>;

  constructor(options: ManagerOptions<Input>) {
    this.#options = options;
  }

  /** Executes the action. Never rejects: a failure is part of the result, and has been reported. */
  async execute(request: ActionRequest): Promise<ExecutionResult> {
    // No timer in here keeps the process alive, and the action may not either: without this one, the process could exit
    // before the last report has been sent.
    const keepAlive = setInterval(() => undefined, 60_000);
    try {
      return await this.#run(request);
    } finally {
      clearInterval(keepAlive);
    }
  }

  async #run(request: ActionRequest): Promise<ExecutionResult> {
    const { runner, log, stop } = this.#options;
    const { timeoutMs } = request;
    const timeout = timeoutMs === undefined ? new AbortController().signal : createTimeoutSignal(timeoutMs);
    const output = new CappedOutput(this.#options.write ?? ((text) => void process.stdout.write(text)));
    const context: ExecutionContext = {
      name: request.name,
      platform: request.platform,
      signal: AbortSignal.any([stop, timeout]),
      log,
      output: (text) => output.add(text),
    };
    const reports = new ReportQueue(context, this.#options);

    let started = false;
    let status: Report['status'];
    let result: CompletionOutput;
    try {
      const input = parseInput(runner, request.input);
      context.signal.throwIfAborted();
      ({ status } = await withStopTimeout(runner.start(context, input), context.signal));
      started = true;
      log.debug({ status }, 'action started');
      reports.add({ state: 'running', message: `${runner.name} is running`, status, logTail: output.readTail() });
      result = await withStopTimeout(runner.waitForCompletion(context, input), context.signal);
    } catch (error) {
      const message =
        context.signal.aborted && !started ? 'stopped before the action was started' : getErrorMessage(error);
      log.error({ code: getErrorCode(error) }, message);
      output.addToTail(`${message}\n`);
      result = { succeeded: false, message };
    }
    const state = stop.aborted ? 'stopped' : timeout.aborted ? 'timed-out' : result.succeeded ? 'succeeded' : 'failed';
    const message = state === 'timed-out' ? `the action reached its timeout: ${result.message}` : result.message;
    const { omitted } = output;
    log.info({ state, ...result.exit, ...(omitted > 0 ? { omitted } : {}) }, message);
    reports.add({ state, message, status, exit: result.exit, logTail: output.readTail() });
    await reports.flush();
    return { state, message, started };
  }
}

/** @throws BatonError INPUT_INVALID, which names the wrong fields but not their values: one may be a secret */
function parseInput<Input>(runner: ActionRunner<Input>, input: unknown): Input {
  const parsed = runner.input.safeParse(input);
  if (parsed.success) return parsed.data;
  const wrong = describeWrongFields(parsed.error, '(input)');
  throw new BatonError('INPUT_INVALID', `reading the input of ${runner.name}: ${wrong}`);
}

/** Waits for `work`; once `abort` has waitForAbort, at most {@link STOP_TIMEOUT_MS} longer. */
async function withStopTimeout<T>(work: Promise<T>, abort: AbortSignal): Promise<T> {
  const tooLate = waitForAbort(abort)
    .then(() => waitForAbort(createTimeoutSignal(STOP_TIMEOUT_MS)))
    .then(() => {
      throw new BatonError('PROGRAM_FAILED', `stopping the action: it did not end within ${STOP_TIMEOUT_MS / 1000} s`);
    });
  return await Promise.race([work, tooLate]);
}

import { setTimeout as sleep } from 'node:timers/promises';
import { ScheduleNotFoundError, ScheduleOverlapPolicy, type Client, type ScheduleHandle } from '@temporalio/client';
import { type HealthReport, healthScheduleId } from '../../../contracts/workflows/health.ts';
import { encode, type Bus, type Msg } from '../../../contracts/lib/nats.ts';
import { parseGroupFromSubject, wildcards } from '../../../contracts/messages/subjects.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { HealthReply } from '../../../contracts/messages/health.ts';

/** The bus lets an answer take two minutes. */
const ANSWER_WITHIN_MS = 110_000;
const LOOK_EVERY_MS = 200;

export interface HealthDoorOptions {
  bus: Bus;
  client: Client;
  log: Logger;
}

/** Checks a group's health when somebody asks for it on the bus, by its schedule, and answers with the result. */
export class HealthDoor {
  readonly #options: HealthDoorOptions;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: HealthDoorOptions) {
    this.#options = options;
  }

  /** Takes questions, shared with every other orchestrator, until `stop` fires. */
  async run(stop: AbortSignal): Promise<void> {
    const subscription = this.#options.bus.subscribe(wildcards.health, { queue: 'health' });
    const drain = (): void => void subscription.drain();
    stop.addEventListener('abort', drain);
    if (stop.aborted) drain();
    for await (const message of subscription) {
      const work = this.#answer(message, stop).finally(() => this.#underWay.delete(work));
      this.#underWay.add(work);
    }
    await Promise.all(this.#underWay);
  }

  async #answer(message: Msg, stop: AbortSignal): Promise<void> {
    const group = parseGroupFromSubject(message.subject) ?? '';
    let reply: HealthReply;
    try {
      reply = await this.#check(group, stop);
    } catch (error) {
      const code = error instanceof BatonError ? error.code : 'INTERNAL';
      this.#options.log.warn({ group, code, reason: messageOf(error) }, 'a health check was asked for, but not made');
      reply = { ok: false, code, message: messageOf(error) };
    }
    message.respond(encode(reply));
  }

  async #check(group: string, stop: AbortSignal): Promise<HealthReply> {
    const handle = this.#options.client.schedule.getHandle(healthScheduleId(group));
    const workflow = await this.#trigger(handle, group, stop);
    const { client } = this.#options;
    const late = sleep(ANSWER_WITHIN_MS, undefined, { ref: false, signal: stop }).then(
      () => undefined,
      () => undefined,
    );
    const result: Promise<unknown> = client.workflow.getHandle(workflow).result();
    const report = await Promise.race([result, late]);
    if (!isReport(report)) {
      throw new BatonError('INTERNAL', `checking group ${group}: still under way as workflow ${workflow}`);
    }
    const { state, ...told } = report;
    return { ok: true, report: { ...told, marks: state.marks.length }, workflow };
  }

  /** @returns the id of the workflow that was started after now */
  async #trigger(handle: ScheduleHandle, group: string, stop: AbortSignal): Promise<string> {
    try {
      const before = (await handle.describe()).info.numActionsTaken;
      // After one that runs already: what is to be seen may have come since it looked.
      await handle.trigger(ScheduleOverlapPolicy.BUFFER_ONE);
      const deadline = Date.now() + ANSWER_WITHIN_MS;
      while (Date.now() < deadline && !stop.aborted) {
        const { info } = await handle.describe();
        const last = info.recentActions.at(-1)?.action;
        if (info.numActionsTaken > before && last !== undefined) return last.workflow.workflowId;
        await sleep(LOOK_EVERY_MS);
      }
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) {
        throw new BatonError('GROUP_UNKNOWN', `checking group ${group}: there is no such group`, { cause: error });
      }
      throw error;
    }
    throw new BatonError('INTERNAL', `checking group ${group}: its check did not start`);
  }
}

function isReport(result: unknown): result is HealthReport {
  return typeof result === 'object' && result !== null && 'state' in result;
}

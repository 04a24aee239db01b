import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';

/** How often the file is read: EC2 gives two minutes' notice, Compute Engine thirty seconds. */
const POLL_INTERVAL_MS = 2000;

/**
 * What the cloud's metadata service returns when it takes a machine back.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html#instance-action-metadata
 */
const notice = z.object({ action: z.string().max(40), time: z.string().max(40).optional() });

export interface InterruptionOptions {
  /**
   * The file to which the machine's bootstrap script writes the notice. Only that script may call the metadata service.
   */
  file: string;
  runner: string;
  send: (signal: RunnerSignal) => Promise<unknown>;
  log: Logger;
}

/** Signals once that the cloud takes this machine back. Never rejects; ends after the signal, or when `stop` fires. */
export async function reportInterruption(
  { file, runner, send, log }: InterruptionOptions,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      const { action, time } = parseNotice(text);
      log.warn({ action, time }, 'the cloud takes this instance back');
      const base = { version: 1 as const, id: randomUUID(), runner, at: new Date().toISOString() };
      await send({ ...base, kind: 'interrupted', action, deadline: time ?? null });
      return;
    }
    await sleep(POLL_INTERVAL_MS, undefined, { signal: stop, ref: false }).catch(() => undefined);
  }
}

/** Any content is a notice, also if it cannot be parsed. */
function parseNotice(text: string): z.infer<typeof notice> {
  try {
    return notice.parse(JSON.parse(text));
  } catch {
    return { action: 'terminate' };
  }
}

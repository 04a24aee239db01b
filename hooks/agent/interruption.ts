import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';

/** Between two looks at the file, milliseconds; EC2 gives two minutes' notice, Compute Engine thirty seconds. */
const LOOK_EVERY_MS = 2000;

/**
 * What the cloud's metadata service says when it takes a machine back.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html#instance-action-metadata
 */
const notice = z.object({ action: z.string().max(40), time: z.string().max(40).optional() });

export interface InterruptionOptions {
  /** Where the machine's bootstrap, which alone may ask the metadata service, puts what it says. */
  file: string;
  runner: string;
  send: (signal: RunnerSignal) => Promise<unknown>;
  log: Logger;
}

/** Tells once that the cloud takes this machine back. Never rejects; ends when it was told, or when `stop` fires. */
export async function reportInterruption(
  { file, runner, send, log }: InterruptionOptions,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      const { action, time } = parse(text);
      log.warn({ action, time }, 'the cloud takes this instance back');
      const base = { version: 1 as const, id: randomUUID(), runner, at: new Date().toISOString() };
      await send({ ...base, kind: 'interrupted', action, deadline: time ?? null });
      return;
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: stop, ref: false }).catch(() => undefined);
  }
}

/** Whatever it says, that it says something is the notice. */
function parse(text: string): z.infer<typeof notice> {
  try {
    return notice.parse(JSON.parse(text));
  } catch {
    return { action: 'terminate' };
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { controlReply, type ControlRequest } from '../../../contracts/messages/control.ts';
import type { Bus } from '../../../contracts/lib/nats.ts';
import { natsOptions, parseOptions } from '../lib/options.ts';
import { request, toError, withNats } from '../lib/request.ts';
import { requestStatus } from './status.ts';
import { print } from '../lib/print.ts';

const POLL_INTERVAL_MS = 1000;

const options = natsOptions.extend({ wait: z.boolean().default(true) });

const RESULT_TEXTS: Record<ControlRequest['mode'], string> = {
  active: 'is active: it starts runners',
  paused: 'is paused: it starts no runners; those that run continue',
  draining: 'is draining: it starts no runners; idle ones are removed, busy ones finish their job',
};

/**
 * `baton pause|resume|drain GROUP`. Draining waits until no runner is left, and prints each change.
 *
 * @returns the exit code
 * @throws BatonError GROUP_UNKNOWN, CONFIG_*, BUS_*
 */
export async function controlGroup(group: string, mode: ControlRequest['mode'], given: unknown): Promise<number> {
  const { wait, ...nats } = parseOptions(options, given);
  const body: ControlRequest = { version: 1, group, mode };
  const action = `setting group ${group} to ${mode}`;
  return await withNats(nats, 'admin', async (bus) => {
    const reply = await request(bus, { subject: subjects.control, body, action }, controlReply);
    if (!reply.ok) throw toError(reply);
    print(`group ${group} ${RESULT_TEXTS[mode]}`);
    return mode === 'draining' && wait ? await waitUntilDrained(bus, group) : 0;
  });
}

async function waitUntilDrained(bus: Bus, group: string): Promise<number> {
  let shown = '';
  for (;;) {
    const { groups } = await requestStatus(bus);
    const now = groups.find(({ name }) => name === group);
    const line =
      now === undefined ? 'removed' : `${now.busy} busy, ${now.ready} idle or starting, ${now.waiting} waiting`;
    if (line !== shown) print(`  ${line}`);
    shown = line;
    // Until the dispatcher has handled the request, its mode is the old one.
    if (now === undefined || ((now.mode === 'draining' || now.removed) && now.busy + now.ready === 0)) break;
    if (now.mode === 'active') {
      print(`group ${group} was resumed meanwhile`);
      return 1;
    }
    await sleep(POLL_INTERVAL_MS);
  }
  print(`group ${group} is drained; \`baton resume ${group}\` makes it start runners again`);
  return 0;
}

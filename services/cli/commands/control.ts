import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { controlReply, type ControlRequest } from '../../../contracts/messages/control.ts';
import { status, type GroupStatus } from '../../../contracts/messages/status.ts';
import type { Bus } from '../../../contracts/lib/nats.ts';
import { request, withNats } from '../lib/request.ts';

const POLL_INTERVAL_MS = 1000;

const options = z.object({
  config: z.string().optional(),
  credentials: z.string().optional(),
  wait: z.boolean().default(true),
});

const RESULT_TEXTS: Record<ControlRequest['mode'], string> = {
  active: 'goes on',
  paused: 'is paused: no runners are started, those that are there go on',
  draining: 'drains: no runners are started, idle ones go, busy ones finish',
};

/**
 * `baton pause|resume|drain GROUP`. Draining waits until no runner is left, and tells each change.
 *
 * @returns the exit code
 * @throws BatonError GROUP_UNKNOWN, CONFIG_*, BUS_*
 */
export async function controlGroup(group: string, mode: ControlRequest['mode'], given: unknown): Promise<number> {
  const { wait, ...where } = options.parse(given);
  return await withNats(where, 'admin', async (bus) => {
    const body: ControlRequest = { version: 1, group, mode };
    const reply = await request(
      bus,
      { subject: subjects.control, body, doing: `telling group ${group}` },
      controlReply,
    );
    if (!reply.ok) throw new BatonError(reply.code === 'GROUP_UNKNOWN' ? reply.code : 'INTERNAL', reply.message);
    console.log(`${group} ${RESULT_TEXTS[mode]}`);
    return mode === 'draining' && wait ? await waitUntilDrained(bus, group) : 0;
  });
}

async function waitUntilDrained(bus: Bus, group: string): Promise<number> {
  let shown = '';
  for (;;) {
    const now = await findGroup(bus, group);
    const line = now === undefined ? 'gone' : `${now.busy} busy, ${now.ready} idle or starting, ${now.waiting} waiting`;
    if (line !== shown) console.log(`  ${line}`);
    shown = line;
    // Before the dispatcher has taken it in, it is as it was.
    if (now === undefined || ((now.mode === 'draining' || now.removed) && now.busy + now.ready === 0)) break;
    if (now.mode === 'active') {
      console.log(`${group} was resumed meanwhile`);
      return 1;
    }
    await sleep(POLL_INTERVAL_MS);
  }
  console.log(`${group} is drained; \`baton resume ${group}\` lets it go on`);
  return 0;
}

/** Of a group that its dispatcher has taken the wish in; undefined where there is none of that name. */
async function findGroup(bus: Bus, group: string): Promise<GroupStatus | undefined> {
  const { groups } = await request(bus, { subject: subjects.status, doing: 'asking for the status' }, status);
  return groups.find(({ name }) => name === group);
}

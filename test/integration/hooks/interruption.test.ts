import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/cleanup.ts';
import { JIT_CONFIG, startAgent, startAgentWorld, type AgentWorld } from '../../support/agent.ts';

let world: AgentWorld;
const folder = temporaryFolder('interruption');

beforeAll(async () => {
  world = await startAgentWorld();
});

afterAll(async () => {
  await world.stop();
  folder.remove();
});

beforeEach(() => {
  world.answers.splice(0, world.answers.length, { ok: true, jitConfig: JIT_CONFIG });
});

/** Writes a notice as the machine's bootstrap script does: all at once. */
function writeNotice(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

describe('an agent on a machine that the cloud takes back', () => {
  it.each([
    ['EC2', '{"action":"terminate","time":"2026-11-21T12:03:44Z"}', 'terminate', '2026-11-21T12:03:44Z'],
    ['Compute Engine', '{"action":"preempt"}\n', 'preempt', null],
    ['an unknown cloud', '<html>', 'terminate', null],
  ])('signals it once, from a notice of %s, while the job runs', async (name, text, action, deadline) => {
    const file = join(folder.path, name.replaceAll(' ', '-'));
    const env = { BATON_INTERRUPTION: file, BATON_CLOUD: 'ec2' };
    const agent = await startAgent(world, 'echo working; until [ -e go ]; do sleep 0.1; done; exit 0', { env });
    await world.signal(agent.runner, 'online');
    writeNotice(file, text);
    expect(await world.signal(agent.runner, 'interrupted')).toMatchObject({ action, deadline });
    agent.go();
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    const kinds = world.findSignals(agent.runner).map(({ kind }) => kind);
    expect(kinds).toEqual(['online', 'interrupted', 'exited']);
  });
});

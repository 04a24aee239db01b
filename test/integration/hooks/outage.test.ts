import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOB_ENV, startAgent, startAgentWorld, type AgentWorld } from '../../support/agent.ts';

let world: AgentWorld;

beforeAll(async () => {
  world = await startAgentWorld();
});

afterAll(() => world.stop());

interface Proxy {
  url: string;
  /** Open connections stay open, but pass nothing on any more; new ones work. */
  freeze(): void;
  /** Delays everything by that time, each way. */
  slow(ms: number): void;
  close(): void;
}

/** A TCP proxy to NATS that can become slow, and whose connections can become half-open. */
async function startProxy(target: string): Promise<Proxy> {
  let delayMs = 0;
  const { hostname, port } = new URL(target);
  const frozen = new Set<Socket>();
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((inner) => {
    const outer = connect(Number(port), hostname);
    pairs.add([inner, outer]);
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      from.on('data', (chunk) => {
        const pass = (): void => {
          if (!frozen.has(from) && to.writable) to.write(chunk);
        };
        if (delayMs > 0) setTimeout(pass, delayMs);
        else pass();
      });
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  return {
    url: `nats://127.0.0.1:${address.port}`,
    freeze: () => {
      for (const pair of pairs) for (const socket of pair) frozen.add(socket);
    },
    slow: (ms) => {
      delayMs = ms;
    },
    close: () => {
      server.close();
      for (const [inner, outer] of pairs) {
        inner.destroy();
        outer.destroy();
      }
    },
  };
}

/** A program that waits for `go`, then calls both hooks. */
const SCRIPT = `${JOB_ENV}
while [ ! -e go ]; do sleep 0.02; done
for hook in "$ACTIONS_RUNNER_HOOK_JOB_STARTED" "$ACTIONS_RUNNER_HOOK_JOB_COMPLETED"; do
  bash -e "$hook"; echo "hook $?"
done
touch done`;

describe('an agent without a connection to NATS', () => {
  it('delays no hook longer than its timeout, and delivers each signal once when NATS is back', async () => {
    const agent = await startAgent(world, SCRIPT, { env: { BATON_HOOK_TIMEOUT_MS: '5000' } });
    await world.signal(agent.runner, 'online');
    await world.nats.halt();
    agent.go();
    // Both hooks return, and the job ends, before NATS is back.
    await agent.printed('the runner program ended');
    expect(agent.output().match(/^hook 0$/gm)).toHaveLength(2);
    // Whichever notices first that the time is over: the agent or the hook.
    expect(agent.output()).toMatch(
      /the agent will retry the signal that this job started|the signal that this job started was not accepted within/,
    );
    await world.nats.resume();
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    await world.signal(agent.runner, 'exited');
    expect(world.findSignals(agent.runner).map(({ kind }) => kind)).toEqual([
      'online',
      'started',
      'completed',
      'exited',
    ]);
  });

  it('replaces a half-open connection, and delays no hook meanwhile', async () => {
    const proxy = await startProxy(world.nats.address);
    try {
      const env = { BATON_HOOK_TIMEOUT_MS: '5000' };
      const agent = await startAgent(world, SCRIPT, { natsUrl: proxy.url, env });
      await world.signal(agent.runner, 'online');
      proxy.freeze();
      agent.go();
      await agent.printed('the runner program ended');
      expect(agent.output().match(/^hook 0$/gm)).toHaveLength(2);
      // What was sent over the frozen connection is lost. The agent must notice by itself that it needs a new
      // connection.
      expect(await agent.exited).toEqual({ code: 0, signal: null });
      await world.signal(agent.runner, 'exited');
      expect(world.findSignals(agent.runner).map(({ kind }) => kind)).toEqual([
        'online',
        'started',
        'completed',
        'exited',
      ]);
    } finally {
      proxy.close();
    }
  });

  it('delivers each signal once when an answer takes longer than the agent’s first timeout', async () => {
    const proxy = await startProxy(world.nats.address);
    try {
      const agent = await startAgent(world, SCRIPT, { natsUrl: proxy.url, env: { BATON_HOOK_TIMEOUT_MS: '5000' } });
      await world.signal(agent.runner, 'online');
      proxy.slow(1300);
      agent.go();
      expect(await agent.exited).toEqual({ code: 0, signal: null });
      expect(agent.output().match(/^hook 0$/gm)).toHaveLength(2);
      await world.signal(agent.runner, 'exited');
      const kinds = world.findSignals(agent.runner).map(({ kind }) => kind);
      expect(kinds).toEqual(['online', 'started', 'completed', 'exited']);
    } finally {
      proxy.close();
    }
  });
});

import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ProxyHookWorld } from '../../support/proxy-hook-world.ts';

/** A proxy's socket: what it serves, to whom, and how often. */

let world: ProxyHookWorld;
beforeAll(async () => {
  world = await ProxyHookWorld.start();
}, 120_000);
afterAll(() => world?.stop());

describe('a proxy’s socket', () => {
  it('one job of each run of the forge’s runner is handed over: a second request is refused and counted, the next run’s is not', async () => {
    const proxy = await world.startProxy();
    const [first, second, third] = [world.environment(), world.environment(), world.environment()];
    expect(await world.runHook(proxy, first)).toMatchObject({ code: 78 });
    const refused = await world.runScript(proxy.socket, second);
    expect(refused).toMatchObject({ code: 69 });
    expect(refused.output).toContain('its proxy does not answer (the proxy closed the connection)');
    expect(await world.runHook(proxy, third)).toMatchObject({ code: 78 });
    expect(proxy.handOver.refusals).toEqual({ 'no-job': 0, second: 1, malformed: 0 });
    expect(await world.fetchJob(first)).toMatchObject({ status: 'queued' });
    expect(await world.fetchJob(third)).toMatchObject({ status: 'queued' });
    expect(await world.findJob(second)).toMatchObject({ status: 404 });
  });

  it('without a job of the forge’s runner, nothing is handed over', async () => {
    const proxy = await world.startProxy();
    proxy.handOver.begin();
    const env = world.environment();
    const { code, output } = await world.runScript(proxy.socket, env);
    expect(code).toBe(65);
    expect(output).toContain('this proxy has no job');
    expect(proxy.handOver.refusals).toMatchObject({ 'no-job': 1 });
    expect(await world.findJob(env)).toMatchObject({ status: 404 });
  });

  it('a request that is no hook’s is refused and counted, and the next hook is served', async () => {
    const proxy = await world.startProxy();
    const requests = [
      'GET / HTTP/1.1\n',
      '{"kind":"list"}\n',
      '{"kind":"started","environment":{},"runnerName":"proxy-b"}\n',
      'x'.repeat(9 * 1024 * 1024),
    ];
    for (const request of requests) expect(await send(proxy.socket, request)).toBe('');
    expect(proxy.handOver.refusals).toEqual({ 'no-job': 0, second: 0, malformed: requests.length });
    const env = world.environment({ RUNNER_NAME: 'proxy-b' });
    expect(await world.runHook(proxy, env)).toMatchObject({ code: 78 });
    expect(await world.fetchJob(env), 'the proxy’s name is its own').toMatchObject({ runnerName: 'proxy-a' });
  });

  it('a hook whose proxy is gone fails with the reason', async () => {
    const { code, output } = await world.runScript(join(world.folder.path, 'none.sock'), world.environment());
    expect(code).toBe(69);
    expect(output).toMatch(/^::error title=Baton::[^\n]*its proxy does not answer \([^\n]*ENOENT/);
  });

  it('the attempt is ended when the hook has printed its answer', async () => {
    const proxy = await world.startProxy();
    await world.runHook(proxy, world.environment());
    await expect.poll(() => proxy.answered()).toBe(1);
  });
});

/** Sends bytes to a socket. @returns what it answers before it closes the connection */
function send(socket: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const connection = connect(socket, () => connection.write(text));
    connection.on('data', (chunk) => (answer += chunk.toString()));
    connection.on('error', () => undefined);
    connection.on('close', () => resolve(answer));
  });
}

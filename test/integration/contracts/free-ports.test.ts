import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { findFreePort, findFreePorts } from '../../../contracts/lib/free-ports.ts';

/** Only these tests use it: here a server may listen on a port that nobody reserved. */
const HOST = '127.0.0.3';

/** What another process finds that begins its search at this port. */
async function findElsewhere(from: number): Promise<number> {
  const module = new URL('../../../contracts/lib/free-ports.ts', import.meta.url).href;
  const script = `const { findFreePorts } = await import(${JSON.stringify(module)});
    console.log((await findFreePorts(1, ${JSON.stringify(HOST)}, ${from}))[0]);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  return Number(stdout);
}

describe('findFreePorts', () => {
  it('finds none that another process found, used or not, until that has ended', async () => {
    const port = await findFreePort(HOST);
    expect(await findElsewhere(port)).not.toBe(port);
    // The one that this process is given now was found by that process, which has ended.
    const [next = 0] = await findFreePorts(1, HOST, await findElsewhere(port));
    expect(await findElsewhere(next)).not.toBe(next);
    expect(await findFreePorts(1, HOST, port)).not.toEqual([port]);
  });

  it('finds none on which a server listens', async () => {
    const port = await findFreePort(HOST);
    const candidate = await findElsewhere(port + 1);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(candidate, HOST, resolve));
    expect(await findFreePorts(1, HOST, candidate)).not.toEqual([candidate]);
    await new Promise((resolve) => server.close(resolve));
    expect(await findFreePorts(1, HOST, candidate)).toEqual([candidate]);
  });

  it('finds none that the system may give to an outgoing connection meanwhile', async (context) => {
    context.skip(process.platform !== 'linux', 'other systems do not say which these are');
    const [start = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/);
    context.skip(Number(start) < 20_000, 'this system gives away almost all ports');
    const ports = await findFreePorts(50, HOST);
    expect(new Set(ports).size).toBe(50);
    expect(Math.max(...ports)).toBeLessThan(Number(start));
  });
});

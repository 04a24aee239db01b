import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { ServerPlan } from './catalog.ts';

/**
 * Builds the program with `go install` at its pinned version into the folder `bin`. Go verifies what it builds by its checksum
 * database.
 *
 * @returns the path of the program
 * @throws Error with the end of go's output; `go is not installed` without go
 */
export async function goInstall(plan: ServerPlan, bin: string, scratch: string): Promise<string> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    GOBIN: bin,
    GOWORK: 'off',
    // Static, as the vendor builds it: it then runs also in an image without a C library.
    CGO_ENABLED: '0',
    // By default the module cache is read-only, and `rm -rf` of its folder fails.
    GOFLAGS: '-modcacherw',
  };
  if (!process.env['HOME']) {
    env['GOPATH'] = join(scratch, 'go');
    env['GOCACHE'] = join(scratch, 'go-build');
  }
  const output: string[] = [];
  const code = await new Promise<number | null>((resolve, reject) => {
    const go = spawn('go', ['install', '-trimpath', '-ldflags=-s -w', plan.goPackage], {
      env,
      cwd: scratch,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [go.stdout, go.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        output.push(text);
        if (output.length > 200) output.shift();
      });
    }
    go.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? new Error('go is not installed', { cause: error }) : error);
    });
    go.once('close', resolve);
    // Go must not outlive this process; it ends its compilers itself.
    const end = (): void => void go.kill('SIGTERM');
    process.once('exit', end);
    go.once('close', () => process.removeListener('exit', end));
  });
  if (code !== 0) {
    const tail = output.join('').trimEnd().split('\n').slice(-5).join('; ');
    throw new Error(`go install ${plan.goPackage} ended with exit code ${code}: ${tail}`);
  }
  return join(bin, plan.name);
}

import childProcess from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import { Server, Socket } from 'node:net';

// Set up for each file of test/unit: what needs a process or a server is a test of test/integration.
const forbid = (what: string) => (): never => {
  throw new Error(`A unit test must not ${what}. Move the test to test/integration.`);
};
const forbidProcess = forbid('start a process');
Object.assign(childProcess.ChildProcess.prototype, { spawn: forbidProcess });
Object.assign(childProcess, { spawnSync: forbidProcess, execSync: forbidProcess, execFileSync: forbidProcess });
syncBuiltinESMExports();
Server.prototype.listen = forbid('start a server');
Socket.prototype.connect = forbid('connect to a server');

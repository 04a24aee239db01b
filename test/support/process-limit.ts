/**
 * A shell command that tries to start 300 processes, prints how many the limit allowed (`children N`), and ends when all of
 * them are gone. In Node: a shell that cannot fork waits, and then gives up with all that follows.
 */
export const TRY_300_PROCESSES = `node -e "${[
  `const { spawn } = require('child_process');`,
  `const started = Array.from({ length: 300 }, () => spawn('sleep', ['60'], { stdio: 'ignore' }).on('error', () => {}))`,
  `.filter(({ pid }) => pid !== undefined);`,
  `console.log('children ' + started.length);`,
  `for (const child of started) child.kill('SIGKILL');`,
].join(' ')}"`;

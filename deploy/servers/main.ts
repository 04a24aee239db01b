import { BatonError, messageOf } from '../../contracts/errors.ts';
import { acquireServer } from './acquire.ts';

// Gets both servers ready before something that would otherwise seem to hang: `npm test`.
try {
  await acquireServer('nats-server');
  await acquireServer('temporal');
} catch (error) {
  console.error(messageOf(error));
  if (error instanceof BatonError) console.error(error.help);
  process.exitCode = 1;
}

import { BatonError, messageOf } from '../../contracts/errors.ts';
import { createProgram } from './program.ts';

try {
  await createProgram().parseAsync();
} catch (error) {
  console.error(`error: ${messageOf(error)}`);
  if (error instanceof BatonError) console.error(`${error.code}: ${error.help}`);
  process.exitCode = 1;
}

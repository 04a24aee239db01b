import { printError } from './lib/print-error.ts';
import { createProgram } from './program.ts';

try {
  await createProgram().parseAsync();
} catch (error) {
  printError(error);
  process.exitCode = 1;
}

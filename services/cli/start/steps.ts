import { formatDuration } from '../../../contracts/format.ts';
import { print } from '../lib/print.ts';

/** Does a step, and prints how long it took. */
export async function reportStep<T>(title: string, work: () => Promise<T>): Promise<T> {
  const since = Date.now();
  const result = await work();
  print(`  ${title} (${formatDuration(Date.now() - since)})`);
  return result;
}

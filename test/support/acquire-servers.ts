import { BatonError } from '../../contracts/errors.ts';
import { acquireServer } from '../../deploy/servers/acquire.ts';
import { removeTestFilters } from './remove-filters.ts';

/** Vitest calls it before the first test that may need a server: downloads or builds both, which takes minutes at first. */
export async function setup(): Promise<void> {
  try {
    await acquireServer('nats-server');
    await acquireServer('temporal');
  } catch (error) {
    throw error instanceof BatonError ? new Error(`${error.message}\n${error.help}`, { cause: error }) : error;
  }
}

/** Vitest calls it after the last test. */
export function teardown(): void {
  removeTestFilters();
}

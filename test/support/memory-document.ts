import type { SharedDocument } from '../../activities/lib/shared-document.ts';

/** A shared value in memory: several owners in one test share it, as processes share one in NATS. */
export class MemoryDocument<T> implements SharedDocument<T> {
  current: T;
  readAt = 0;

  constructor(empty: T) {
    this.current = empty;
  }

  async refresh(): Promise<void> {
    await Promise.resolve();
    this.readAt = Date.now();
  }

  async change(change: (value: T) => T): Promise<T> {
    await Promise.resolve();
    this.current = change(this.current);
    this.readAt = Date.now();
    return this.current;
  }
}

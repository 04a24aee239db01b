import { condition, defineQuery, defineSignal, setHandler } from '@temporalio/workflow';

/** What a recording actor was told: one entry a signal, as it came. */
export const recorded = defineQuery<unknown[][]>('recorded');
export const end = defineSignal('end');
const news = defineSignal<[unknown[]]>('news');

/** Stands where the dispatcher does, writes down what it is told, and never ends by itself. */
export async function dispatcher(): Promise<void> {
  await record();
}

/** Stands where a runner does. */
export async function runner(): Promise<void> {
  await record();
}

async function record(): Promise<void> {
  const told: unknown[][] = [];
  let over = false;
  setHandler(news, (items) => void told.push(items));
  setHandler(recorded, () => told);
  setHandler(end, () => void (over = true));
  await condition(() => over);
}

import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { ReplayHistoriesIterable } from '@temporalio/worker';
import { until } from './until.ts';

const FOLDER = fileURLToPath(new URL('../histories/', import.meta.url));
/** Stack traces contain paths of files: the folders of this checkout and of its packages are removed from them. */
const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGES = realpathSync(`${CHECKOUT}node_modules`).replace(/node_modules$/, '');

/** Longer histories repeat the same few events. */
const MAX_EVENTS = 500;

/** Writes one history per group and workflow type to test/histories, each to a file of its own. */
export async function recordHistories(client: Client, only?: ReadonlySet<string>): Promise<void> {
  const recorded = new Set<string>();
  const recordAll = async (): Promise<boolean> => {
    for await (const execution of endedFirst(client)) {
      const { workflowId, type, historyLength } = execution;
      const name = `${type}-${workflowId.split('/')[1] ?? ''}`;
      // One of each is enough: the others would be the same.
      if (historyLength > MAX_EVENTS || recorded.has(name)) continue;
      if (only !== undefined && !only.has(name)) continue;
      recorded.add(name);
      await recordHistory(client, execution, name);
    }
    return only === undefined || recorded.size === only.size;
  };
  // Temporal's lists lag behind: a workflow that has just ended may be in neither of them.
  await until(recordAll, { what: `${only?.size} histories were recorded`, timeoutMs: 30_000 });
}

async function* endedFirst(client: Client): AsyncIterable<WorkflowExecutionInfo> {
  yield* client.workflow.list({ query: `ExecutionStatus != 'Running'` });
  yield* client.workflow.list({ query: `ExecutionStatus = 'Running'` });
}

/** Writes one history to test/histories under that name. */
export async function recordHistory(
  client: Client,
  execution: { workflowId: string; runId?: string },
  name: string,
): Promise<void> {
  const { workflowId, runId } = execution;
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const text = JSON.stringify(JSON.parse(historyToJSON(history)));
  writeFileSync(`${FOLDER}${name}.json`, text.replaceAll(CHECKOUT, '').replaceAll(PACKAGES, ''));
}

/** The recorded histories, by file name. */
export function recordedHistories(): ReplayHistoriesIterable {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({
      workflowId: file.replace(/\.json$/, ''),
      history: historyFromJSON(JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8'))),
    }));
}

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { ReplayHistoriesIterable } from '@temporalio/worker';

const FOLDER = fileURLToPath(new URL('../histories/', import.meta.url));
/** Stack traces name files: where this checkout lies is nobody's business. */
const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

/** A flood's history is the same few events again and again. */
const EVENTS_AT_MOST = 500;

/** Writes a history of every group and type of workflow to test/histories: a file each. */
export async function recordHistories(client: Client, only?: ReadonlySet<string>): Promise<void> {
  const told = new Set<string>();
  for await (const execution of endedFirst(client)) {
    const { workflowId, type, historyLength } = execution;
    const name = `${type}-${workflowId.split('/')[1] ?? ''}`;
    // One of each tells the story; the others are the same again.
    if (historyLength > EVENTS_AT_MOST || told.has(name)) continue;
    if (only !== undefined && !only.has(name)) continue;
    told.add(name);
    await recordHistory(client, execution, name);
  }
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
  writeFileSync(`${FOLDER}${name}.json`, JSON.stringify(JSON.parse(historyToJSON(history))).replaceAll(CHECKOUT, ''));
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

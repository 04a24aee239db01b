import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AGENT_ENV } from '../../../../contracts/messages/agent-env.ts';
import { toAnnotation } from '../../../lib/workflow-command.ts';
import { sendToAgent } from '../../signal/send-to-agent.ts';
import { toMarkdown, toTextTable, toHeadline, parseRecording, toJobResources } from './summary.ts';

/** How long to wait until the agent has delivered the summary. It continues to try after that. */
const DELIVERY_TIMEOUT_MS = 1000;

/** Starts the recorder, which outlives this process. */
export function startRecorder(env: NodeJS.ProcessEnv): void {
  const settings = env[AGENT_ENV.hooks];
  const folder = settings === undefined ? (env['RUNNER_TEMP'] ?? '.') : dirname(settings);
  const file = join(folder, `samples-${randomUUID()}.jsonl`);
  writeFileSync(file, '', { mode: 0o600 });
  const recorder = spawn(process.execPath, [process.argv[1] ?? '', 'resource-usage', 'record', file], {
    detached: true,
    stdio: 'ignore',
    // The recorder outlives this step: it must not hold the job's variables.
    env: { PATH: env['PATH'], RUNNER_TRACKING_ID: env['RUNNER_TRACKING_ID'] },
  });
  recorder.unref();
  const state = env['GITHUB_STATE'];
  if (state !== undefined) appendFileSync(state, `samples=${file}\n`);
  console.log('Recording CPU, memory, disk and network usage, once a second.');
}

/** Ends the recorder and reports what the job used: in the log, in the job's summary, and to the runner's workflow. */
export async function reportUsage(env: NodeJS.ProcessEnv): Promise<void> {
  const file = env['STATE_samples'];
  if (file === undefined) throw new Error('the recorder was not started: STATE_samples is not set');
  const recording = parseRecording(readFileSync(file, 'utf8'));
  rmSync(file, { force: true });
  if (recording === undefined) {
    console.log('The job ended before the first sample.');
    return;
  }
  console.log(toHeadline(recording));
  for (const line of toTextTable(recording)) console.log(line);
  const summary = env['GITHUB_STEP_SUMMARY'];
  if (summary !== undefined) appendFileSync(summary, toMarkdown(recording));
  const socket = env[AGENT_ENV.socket];
  if (!socket) return;
  const line = { version: 1, kind: 'resources', resources: toJobResources(recording), waitMs: DELIVERY_TIMEOUT_MS };
  const reply = await sendToAgent(socket, line).catch(
    () => ({ state: 'refused', message: 'the agent does not answer' }) as const,
  );
  if (reply.state === 'refused')
    console.log(
      toAnnotation('warning', `Baton: the job’s resource usage was not sent to its workflow: ${reply.message}`),
    );
}

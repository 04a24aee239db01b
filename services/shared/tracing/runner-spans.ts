import type { RunnerReport } from '../../../contracts/workflows/runner.ts';
import { toJobTrace, toRunnerTrace, toSpanId, type RecordedSpan, type Traces } from './span.ts';

/** Records a runner's life and its phases: in its job's trace, or in a trace of its own where no job ran on it. */
export function recordRunnerSpans(traces: Traces, report: RunnerReport, forge: string): void {
  for (const span of toRunnerSpans(report, forge)) traces.record(span);
}

function toRunnerSpans({ group, outcome, life }: RunnerReport, forge: string): RecordedSpan[] {
  const { runner, detail, failed } = outcome;
  const { phases, until, jobId } = life;
  const [first] = phases;
  if (first === undefined) return [];
  const { trace, root } =
    jobId === undefined ? { trace: toRunnerTrace(runner), root: undefined } : toJobTrace(forge, jobId);
  const id = toSpanId(trace, `runner/${runner}`);
  const attributes = {
    'cicd.worker.name': runner,
    'baton.group': group,
    'baton.backend': life.backend,
    'baton.reason': detail,
  };
  const problem = failed ? detail : undefined;
  const common = { trace, kind: 'internal' } as const;
  return [
    { ...common, id, parent: root, name: `runner ${runner}`, from: first.at, until, attributes, problem },
    ...phases.map(({ phase, at }, index) => ({
      ...common,
      id: toSpanId(trace, `runner/${runner}/${index}`),
      parent: id,
      name: phase,
      from: at,
      until: phases[index + 1]?.at ?? until,
      attributes: {},
    })),
  ];
}

import type { RunnerReport } from '../../../contracts/workflows/runner.ts';
import { jobTrace, runnerTrace, spanId, type RecordedSpan } from './span.ts';

/** A runner's life and its phases, in its job's trace; in one of its own where no job ran on it. */
export function runnerSpans({ group, outcome, life }: RunnerReport, forge: string): RecordedSpan[] {
  const { runner, detail, failed } = outcome;
  const { phases, until, jobId } = life;
  const [first] = phases;
  if (first === undefined) return [];
  const { trace, root } =
    jobId === undefined ? { trace: runnerTrace(runner), root: undefined } : jobTrace(forge, jobId);
  const id = spanId(trace, `runner/${runner}`);
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
      id: spanId(trace, `runner/${runner}/${index}`),
      parent: id,
      name: phase,
      from: at,
      until: phases[index + 1]?.at ?? until,
      attributes: {},
    })),
  ];
}

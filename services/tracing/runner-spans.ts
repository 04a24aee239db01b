import type { RunnerLife } from '../../contracts/runner/life.ts';
import { jobTrace, runnerTrace, spanId, type RecordedSpan } from './span.ts';

/** A runner's life and its phases, in its job's trace; in one of its own where no job ran on it. */
export function runnerSpans(life: RunnerLife, forge: string): RecordedSpan[] {
  const [first] = life.phases;
  if (first === undefined) return [];
  const { trace, root } =
    life.job === undefined ? { trace: runnerTrace(life.runner), root: undefined } : jobTrace(forge, life.job.id);
  const id = spanId(trace, `runner/${life.runner}`);
  const attributes = {
    'cicd.worker.name': life.runner,
    'baton.group': life.group,
    'baton.backend': life.backend,
    'baton.reason': life.detail,
  };
  const problem = life.failed ? life.detail : undefined;
  const common = { trace, kind: 'internal' } as const;
  return [
    {
      ...common,
      id,
      parent: root,
      name: `runner ${life.runner}`,
      from: first.at,
      until: life.until,
      attributes,
      problem,
    },
    ...life.phases.map(({ phase, at }, index) => ({
      ...common,
      id: spanId(trace, `runner/${life.runner}/${index}`),
      parent: id,
      name: phase,
      from: at,
      until: life.phases[index + 1]?.at ?? life.until,
      attributes: {},
    })),
  ];
}

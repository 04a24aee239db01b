import type { DelegationActor } from './actor.ts';
import type { HandedOn } from './forge-questions.ts';

/** How a delegation ends. `lost`: the job did not run, and will not run by itself. */
export interface End {
  status: 'completed' | 'failed';
  action: 'completed' | 'failed' | 'handed-on';
  lost: boolean;
  detail: string;
}

/** The end of a delegation whose job has ended. */
export function toEnd(actor: DelegationActor): End {
  const { job } = actor.progress;
  const conclusion = job?.conclusion ?? 'no conclusion';
  if (actor.progress.ranElsewhere()) {
    const failed = conclusion !== 'success';
    const detail = `ran on ${job?.runnerName ?? ''}: ${conclusion}`;
    return { status: failed ? 'failed' : 'completed', action: failed ? 'failed' : 'completed', lost: false, detail };
  }
  if (job?.conclusion === 'success') {
    return toLostEnd(
      'the job ran on the proxy itself, because the started hook did not fail it; check the proxy’s hook path',
    );
  }
  const detail = `the job ended before it ran on an ephemeral runner: ${conclusion}`;
  return { status: 'failed', action: 'failed', lost: false, detail };
}

/** The end of a delegation whose job belongs to another one. */
export function toHandedOnEnd({ to }: HandedOn): End {
  const detail = `handed on to delegation ${to}, whose job this is`;
  return { status: 'completed', action: 'handed-on', lost: false, detail };
}

/** The end of a delegation that failed for another reason than its job. */
export function toLostEnd(detail: string): End {
  return { status: 'failed', action: 'failed', lost: true, detail };
}

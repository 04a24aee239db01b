import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import type { Phase } from '../../contracts/workflows/phase.ts';
import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import { renderRunnerDetails, type Situation } from './details.ts';
import type { Facts } from './facts.ts';
import { toJobAttributes } from './job-attributes.ts';

/** What Temporal shows of a runner: its search attributes and its current details. */
export class RunnerView {
  readonly #input: RunnerInput;
  #shownPhase: Phase = 'provisioning';
  #shownJob: string | undefined;

  constructor(input: RunnerInput) {
    this.#input = input;
  }

  /** Brings search attributes (an event each time they change) and current details (no event) up to date. */
  update(facts: Facts, situation: Situation): void {
    const { phase } = situation;
    const updates: SearchAttributeUpdatePair[] = [];
    if (phase !== this.#shownPhase) updates.push({ key: SEARCH_ATTRIBUTES.phase, value: phase });
    const { job, hookJob } = facts;
    const shown = job ? String(job.jobId) : hookJob?.repository;
    if (shown !== undefined && shown !== this.#shownJob) updates.push(...toJobAttributes(facts));
    if (updates.length > 0) upsertSearchAttributes(updates);
    this.#shownPhase = phase;
    this.#shownJob = shown;
    setCurrentDetails(renderRunnerDetails(this.#input, facts, situation));
  }
}

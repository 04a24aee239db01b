import { defineSearchAttributeKey, type SearchAttributeUpdatePair } from '@temporalio/common';
import type { Facts } from './facts.ts';

const REPOSITORY = defineSearchAttributeKey('BatonRepository', 'KEYWORD');
const WORKFLOW = defineSearchAttributeKey('BatonWorkflow', 'KEYWORD');
const JOB = defineSearchAttributeKey('BatonJob', 'KEYWORD');
const JOB_ID = defineSearchAttributeKey('BatonJobId', 'KEYWORD');
const RUN_ID = defineSearchAttributeKey('BatonRunId', 'KEYWORD');
const RUN_ATTEMPT = defineSearchAttributeKey('BatonRunAttempt', 'INT');

/** Characters of a Keyword that Temporal keeps in an SQL database; a longer one would keep the whole record out of lists. */
const KEYWORD_MOST = 255;

/** What can be searched for of a runner's job, as far as it is known. */
export function jobAttributes({ job, hookJob }: Facts): SearchAttributeUpdatePair[] {
  const known = job ?? hookJob;
  if (known === undefined) return [];
  const attributes: SearchAttributeUpdatePair[] = [
    { key: REPOSITORY, value: keyword(known.repository) },
    { key: RUN_ID, value: String(known.runId) },
    { key: RUN_ATTEMPT, value: known.runAttempt },
  ];
  const workflow = job?.workflow ?? hookJob?.workflow;
  if (workflow) attributes.push({ key: WORKFLOW, value: keyword(workflow) });
  if (job) {
    attributes.push({ key: JOB, value: keyword(job.name) }, { key: JOB_ID, value: String(job.jobId) });
  }
  return attributes;
}

function keyword(text: string): string {
  return Array.from(text).slice(0, KEYWORD_MOST).join('');
}

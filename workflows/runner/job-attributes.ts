import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import type { Facts } from './facts.ts';

/** On an SQL database Temporal stores at most so many characters of a Keyword; a longer one hides the workflow from lists. */
const MAX_KEYWORD_LENGTH = 255;

/** The search attributes of a runner's job, as far as they are known. */
export function toJobAttributes({ job, hookJob }: Facts): SearchAttributeUpdatePair[] {
  const known = job ?? hookJob;
  if (known === undefined) return [];
  const attributes: SearchAttributeUpdatePair[] = [
    { key: SEARCH_ATTRIBUTES.repository, value: toKeyword(known.repository) },
    { key: SEARCH_ATTRIBUTES.runId, value: String(known.runId) },
    { key: SEARCH_ATTRIBUTES.runAttempt, value: known.runAttempt },
  ];
  const workflow = job?.workflow ?? hookJob?.workflow;
  if (workflow) attributes.push({ key: SEARCH_ATTRIBUTES.workflow, value: toKeyword(workflow) });
  if (job) {
    attributes.push(
      { key: SEARCH_ATTRIBUTES.job, value: toKeyword(job.name) },
      { key: SEARCH_ATTRIBUTES.jobId, value: String(job.jobId) },
    );
  }
  return attributes;
}

function toKeyword(text: string): string {
  return Array.from(text).slice(0, MAX_KEYWORD_LENGTH).join('');
}

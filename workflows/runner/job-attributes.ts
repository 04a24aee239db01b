import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import type { Facts } from './facts.ts';

/** Characters of a Keyword that Temporal keeps in an SQL database; a longer one would keep the whole record out of lists. */
const KEYWORD_MOST = 255;

/** What can be searched for of a runner's job, as far as it is known. */
export function jobAttributes({ job, hookJob }: Facts): SearchAttributeUpdatePair[] {
  const known = job ?? hookJob;
  if (known === undefined) return [];
  const attributes: SearchAttributeUpdatePair[] = [
    { key: SEARCH_ATTRIBUTES.repository, value: keyword(known.repository) },
    { key: SEARCH_ATTRIBUTES.runId, value: String(known.runId) },
    { key: SEARCH_ATTRIBUTES.runAttempt, value: known.runAttempt },
  ];
  const workflow = job?.workflow ?? hookJob?.workflow;
  if (workflow) attributes.push({ key: SEARCH_ATTRIBUTES.workflow, value: keyword(workflow) });
  if (job) {
    attributes.push(
      { key: SEARCH_ATTRIBUTES.job, value: keyword(job.name) },
      { key: SEARCH_ATTRIBUTES.jobId, value: String(job.jobId) },
    );
  }
  return attributes;
}

function keyword(text: string): string {
  return Array.from(text).slice(0, KEYWORD_MOST).join('');
}

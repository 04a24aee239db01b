import { ApiError } from '../api/errors.ts';
import type { Random } from '../random.ts';
import type { SecondaryForm } from '../settings.ts';

/** Which limit refused a call. */
export type LimitName = 'points' | 'concurrency' | 'primary' | 'registrations' | 'fault';

/** The two hourly limits that matter to a runner manager. */
export type LimitResource = 'core' | 'actions_runner_registration';

/** The answer to a call above a limit. */
export class LimitError extends ApiError {
  readonly limit: LimitName;
  /** The hourly limit that the answer's headers describe. */
  readonly resource: LimitResource;

  constructor(
    limit: LimitName,
    status: number,
    message: string,
    options: ConstructorParameters<typeof ApiError>[2] & { resource?: LimitResource },
  ) {
    super(status, message, options);
    this.limit = limit;
    this.resource = options?.resource ?? 'core';
  }
}

const FORMS = ['429', '403', '403-no-header', '403-abuse'] as const;
const SECONDARY =
  'You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to GitHub Support for help, please include the request ID.';
const ABUSE = 'You have triggered an abuse detection mechanism. Please wait a few minutes before you try again.';

/**
 * A secondary limit in one of the forms in which GitHub answers it. In all of them `x-ratelimit-remaining` stays as it is, in
 * the thousands.
 *
 * @param waitMs how long the limit still lasts; not every form says so
 */
export function createSecondaryError(
  limit: LimitName,
  waitMs: number,
  { form, random }: { form: SecondaryForm; random: Random },
): LimitError {
  const chosen = form === 'any' ? (random.pick(FORMS) ?? '429') : form;
  const wait = { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) };
  if (chosen === '403-abuse') {
    const more = { documentation_url: 'https://developer.github.com/v3/#abuse-rate-limits' };
    return new LimitError(limit, 403, ABUSE, { more });
  }
  const more = {
    documentation_url: 'https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits',
  };
  if (chosen === '403-no-header') return new LimitError(limit, 403, SECONDARY, { more });
  return new LimitError(limit, Number(chosen), SECONDARY, { headers: wait, more });
}

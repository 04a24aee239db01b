/** What an instance was used for, from its creation to its end. Pure: workflow code imports this. */
export interface InstanceUse {
  runner: string;
  group: string;
  backend: string;
  /** As price tables name it; absent where the backend has one kind. */
  machine?: string | undefined;
  market?: 'spot' | 'on-demand' | undefined;
  /** ISO 8601 */
  from: string;
  until: string;
  /** `owner/name`; absent where no job ran. */
  repository?: string | undefined;
  workflow?: string | undefined;
  job?: string | undefined;
  jobId?: number | undefined;
}

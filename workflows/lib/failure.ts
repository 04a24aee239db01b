/** The message at the bottom of a failure's causes: what really went wrong. */
export function rootMessage(error: unknown): string {
  let at: unknown = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  return at instanceof Error ? at.message : String(at);
}

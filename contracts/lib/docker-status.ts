/** The HTTP status in an error of the Docker client; undefined where the engine did not answer. */
export function getDockerStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/**
 * Does the work for all items at once. One that fails keeps no other from being done.
 *
 * @throws what the first of those that failed threw, once all have ended
 */
export async function forAll<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const ends = await Promise.allSettled(items.map(work));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

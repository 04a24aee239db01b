/**
 * Subjects without those that another one covers: NATS allows no export inside another.
 *
 * @returns each subject once, in order
 */
export function widen(subjects: readonly string[]): string[] {
  const each = [...new Set(subjects)];
  return each.filter((subject) => !each.some((other) => other !== subject && covers(other, subject))).toSorted();
}

/** Whether a subject with wildcards covers another, or is the same. */
export function covers(wildcard: string, subject: string): boolean {
  const [wanted, given] = [wildcard.split('.'), subject.split('.')];
  const isOpen = wanted.at(-1) === '>';
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every(
    (token, index) => token === '>' || token === given[index] || (token === '*' && given[index] !== '>'),
  );
}

/**
 * The rows of the contract for every backend, in the order of its table (deploy/docs/reference/backend-contract.md).
 */
export const ROWS = [
  'creates, describes, lists and deletes an instance',
  'makes one instance of two creates, one after the other, at once, or from two processes',
  'creates nothing where the create may be out of date',
  'refuses a create with the same name and other parameters, and leaves the first instance alone',
  'returns an instance that has died as dead, and does not start it again',
  'accepts a second delete, and the delete of an instance that never existed',
  'lists, describes, deletes and reports no instance of another installation',
  'reports a death at once, whichever process created the instance',
  'reports a death that happened while no process watched',
  'does not report the end of an instance that it deletes itself',
  'tags an instance with its job, twice and by two processes at once, and changes no other tag',
  'tags no instance that never existed, and none of another installation',
  'finishes a create that its process left half-way, at every step',
  'deletes what a create left half-way, at every step',
  'ends a cancelled create; the next create finishes it',
  'finishes a create whose process was killed in the middle',
  'describes, watches and deletes instances of a process that has ended',
  'creates an instance while the API throttles',
  'creates one instance when the API answers 500 after it did the work',
  'creates one instance when the connection breaks after the API did the work',
  'creates one instance when the API does not answer, and ends at once when cancelled meanwhile',
  'never reads a failed list as an empty one: reports no death, counts nothing as deleted',
  'deletes an instance while the API throttles and fails',
  'reports that its credentials expired, and continues with new ones',
  'uses the next placement when one has no capacity, and starts there next time',
  'reports that no placement has capacity, and creates the instance as soon as one has',
  'finds and deletes a new instance that is not listed yet',
  'lists more than 1,000 instances',
] as const;

export type Row = (typeof ROWS)[number];

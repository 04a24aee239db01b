import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeWrongFields, nameWrongFields, toWrongFields } from '../../../../contracts/lib/schema-errors.ts';

const schema = z.strictObject({ name: z.string('expected a name'), jobs: z.array(z.object({ id: z.number() })) });

function findError(value: unknown): z.ZodError {
  const { error } = schema.safeParse(value);
  if (error === undefined) throw new Error('the schema accepted the value');
  return error;
}

describe('the fields that a schema refused', () => {
  it('are named by their path, with what was expected', () => {
    expect(describeWrongFields(findError({ name: 1, jobs: [{ id: 1 }, { id: 'x' }] }))).toBe(
      'name: expected a name; jobs.1.id: Invalid input: expected number, received string',
    );
  });

  it('include each unknown key', () => {
    expect(toWrongFields(findError({ name: 'x', jobs: [], one: 1, two: 2 }))).toEqual([
      { path: 'one', message: 'unknown key' },
      { path: 'two', message: 'unknown key' },
    ]);
  });

  it('are the value itself where it has the wrong type', () => {
    expect(nameWrongFields(findError('text'))).toBe('(body)');
    expect(nameWrongFields(findError('text'), 'the file')).toBe('the file');
  });

  it('can be named without their values', () => {
    expect(nameWrongFields(findError({ name: 1, jobs: 'secret' }))).toBe('name, jobs');
  });
});

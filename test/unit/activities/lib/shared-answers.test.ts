import { describe, expect, it } from 'vitest';
import { SharedAnswers } from '../../../../activities/lib/shared-answers.ts';

/** A question whose answers are given by hand. */
class Question {
  readonly asked: { answer: (value: string) => void; fail: (error: Error) => void; signal: AbortSignal }[] = [];

  readonly ask = (signal: AbortSignal): Promise<string> =>
    new Promise((answer, fail) => {
      this.asked.push({ answer, fail, signal });
    });
}

describe('a shared answer', () => {
  let now = 1000;
  const create = (): SharedAnswers<string> => new SharedAnswers(() => now);

  it('is asked for once by all who ask meanwhile, and kept for those who accept its age', async () => {
    const answers = create();
    const question = new Question();
    const both = [1, 2].map(() => answers.get('a', { notBefore: 900 }, question.ask));
    question.asked[0]?.answer('one');
    expect(await Promise.all(both)).toEqual(['one', 'one']);
    now = 2000;
    expect(await answers.get('a', { notBefore: 1000 }, question.ask)).toBe('one');
    expect(question.asked).toHaveLength(1);
  });

  it('is asked for anew by one who needs a newer one, also while it is on its way', async () => {
    const answers = create();
    const question = new Question();
    const first = answers.get('a', {}, question.ask);
    now += 1;
    const second = answers.get('a', {}, question.ask);
    question.asked[1]?.answer('new');
    question.asked[0]?.answer('old');
    expect(await Promise.all([first, second])).toEqual(['old', 'new']);
    expect(await answers.get('a', { notBefore: 0 }, question.ask)).toBe('new');
  });

  it('is not kept when it is a failure, or forgotten', async () => {
    const answers = create();
    const question = new Question();
    const failing = answers.get('a', {}, question.ask);
    question.asked[0]?.fail(new Error('no answer'));
    await expect(failing).rejects.toThrow('no answer');
    const next = answers.get('a', { notBefore: 0 }, question.ask);
    question.asked[1]?.answer('one');
    expect(await next).toBe('one');
    answers.forget('a');
    void answers.get('a', { notBefore: 0 }, question.ask);
    expect(question.asked).toHaveLength(3);
  });

  it('is given up when the last asker leaves, not before', async () => {
    const answers = create();
    const question = new Question();
    const [one, two] = [new AbortController(), new AbortController()];
    const first = answers.get('a', { notBefore: 0, signal: one.signal }, question.ask);
    const second = answers.get('a', { notBefore: 0, signal: two.signal }, question.ask);
    one.abort(new Error('one leaves'));
    await expect(first).rejects.toThrow('one leaves');
    expect(question.asked[0]?.signal.aborted).toBe(false);
    two.abort(new Error('two leaves'));
    await expect(second).rejects.toThrow('two leaves');
    expect(question.asked[0]?.signal.aborted).toBe(true);
    void answers.get('a', { notBefore: 0 }, question.ask);
    expect(question.asked).toHaveLength(2);
  });
});

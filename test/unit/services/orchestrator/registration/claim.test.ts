import { describe, expect, it } from 'vitest';
import {
  CLAIM_MS,
  decideClaim,
  KEEP_MS,
  MAX_ANSWERS,
  type RegistrationRecord,
} from '../../../../../services/orchestrator/requests/registration/claim.ts';

const NOW = 1_700_000_000_000;
const ME = { owner: 'me', attempt: 3, keeps: 0 };

const aRecord = (change: Partial<RegistrationRecord> = {}): RegistrationRecord => ({
  owner: 'other',
  askingUntil: 0,
  granted: true,
  answers: 0,
  answeredAt: 0,
  attempt: 2,
  ...change,
});

describe('the claim to ask the forge for a runner', () => {
  it('is granted to the first orchestrator that asks', () => {
    expect(decideClaim(undefined, ME, NOW)).toEqual({
      claim: 'granted',
      record: { owner: 'me', askingUntil: NOW + CLAIM_MS, granted: false, answers: 0, answeredAt: 0, attempt: 3 },
    });
  });

  it('is not granted while another orchestrator asks, and granted when that one has stopped extending it', () => {
    const taken = aRecord({ askingUntil: NOW + 1 });
    expect(decideClaim(taken, ME, NOW)).toMatchObject({ claim: 'later', retryAfterMs: 1000 });
    expect(decideClaim(taken, ME, NOW + 1)).toMatchObject({ claim: 'granted', record: { owner: 'me', granted: true } });
  });

  it('is not granted for a request that a later one of the same agent overtook', () => {
    expect(decideClaim(aRecord({ attempt: 4 }), ME, NOW)).toMatchObject({ claim: 'later' });
  });

  it('is granted for a runner whose last registration is lost, once nobody can have kept it', () => {
    const answered = aRecord({ answeredAt: NOW, answers: 1 });
    expect(decideClaim(answered, ME, NOW + 1000)).toMatchObject({ claim: 'later' });
    expect(decideClaim(answered, ME, NOW + 11_000)).toMatchObject({ claim: 'granted' });
    // An agent that doesn't count its requests may be starting with that answer.
    const uncounted = { ...ME, attempt: -1 };
    expect(decideClaim(answered, uncounted, NOW + 11_000)).toMatchObject({ claim: 'later' });
    expect(decideClaim(answered, uncounted, NOW + KEEP_MS)).toMatchObject({ claim: 'granted' });
  });

  it('is granted at once to the orchestrator that keeps the last registration', () => {
    const answered = aRecord({ answeredAt: NOW, answers: 1 });
    expect(decideClaim(answered, { ...ME, keeps: NOW }, NOW + 1000)).toMatchObject({ claim: 'granted' });
    // Another registration has replaced the one that it keeps.
    expect(decideClaim(answered, { ...ME, keeps: NOW - 5000 }, NOW + 1000)).toMatchObject({ claim: 'later' });
  });

  it('is refused after the fifth registration', () => {
    expect(decideClaim(aRecord({ answers: MAX_ANSWERS - 1 }), ME, NOW)).toMatchObject({ claim: 'granted' });
    expect(decideClaim(aRecord({ answers: MAX_ANSWERS }), ME, NOW)).toMatchObject({ claim: 'refused' });
  });
});

import { describe, expect, it } from 'vitest';
import { sourceFiles } from './source-files.ts';

/**
 * Words that Baton's texts and names used for several things, or that only insiders understood. Each has a standard word in
 * its place; CONTRIBUTING.md ("Words") says which. A pattern is matched against every line of code, comments and documents.
 */
const BANNED: Record<string, RegExp> = {
  'tell…, told (as a name): signal…, report…, describe…': /\b(?:tell|told)[A-Z]\w*|\bTold\b/,
  'hear, heard, learn (as a name): apply, observe': /\b(?:hear|heard|learn)\(|\bHeard\b/,
  'news: events': /\bnews\b|\w+News\b|_NEWS\b/i,
  'place, keeper: slot, placement, stage, streamPosition, allocator':
    /\bPlaces?\b|\bkeepers?\b|\bplaces\b(?! (?:where|in)\b)|\.place\b/,
  'neighbour: workflow signals, other installation': /neighbour/i,
  'ledger, ghosts: demand tracker, unattributed runs': /ledger|\bghosts?\b/i,
  'sight, ownerless, bodiless, embodied: observed…, orphaned, missingInstance, expectsInstance':
    /\w+Sights?\b|\b(?:ownerless|bodiless|embodied)\b/i,
  'door: request handler, HTTP API': /\bdoors?\b|\w+Door\b/i,
  'let-go, bury, settle, letter (but "dead letter"): deadLetter…, withAcknowledgement, item':
    /\blet-go\b|\bletGo\b|\bbur(?:y|ied)\b|\bsettled?\(|\bLetters?\b|letterWriter/,
  'Hopeless, NotNow, Interrupted: PermanentFailure, RetryLater, ShuttingDown': /\b(?:Hopeless|NotNow|Interrupted)\b/,
  'mailbox: SignalBatcher': /mailbox/i,
  'deed: activity': /\bdeeds?\b/i,
  'standing, stand-in: status, fake': /\bstanding\b|\bstand-?in\b|StandIn/i,
  'manager (of Baton): installation': /\bmanager ["“$]|baton[.-]manager|another manager|\bmanager’s\b/,
  'MOST_…, …_AT_MOST: MAX_…': /\bMOST_|_AT_MOST\b|_MOST_/,
  'NATS is away: NATS connection lost': /\b(?:NATS|Temporal|bus|forge|ingress|server) (?:is|was) away\b/i,
  'takes it not now: cannot accept the request yet': /takes it not now/,
  'put aside: will retry later': /put aside/,
  'a person told a group: group mode changed': /a person told/,
  'could not be told: query failed': /could not be told/,
  'nobody here has heard: unknown': /nobody here/i,
  'tells what there is: Run `baton --help` for usage.': /tells what there is/,
  'stands twice: duplicate': /stands? twice/,
  'mend: fix, repair': /\bmend(?:s|ed|ing)?\b/i,
  'needs it no longer: no longer needed by': /needs it no longer/,
  'what it came to: the result': /what it came to/,
  'one export a workflow: one export per workflow': /one export a /,
  'so long may: may … for N s': /so long may/,
};

describe('words', () => {
  const files = sourceFiles(/\.(?:ts|mts|mjs|js|html|sh|ps1|md|ya?ml)$|Dockerfile$/).filter(
    (file) => !/house\/|CHANGELOG|^test\/(?:histories|fixtures)\//.test(file.path),
  );

  it.each(Object.entries(BANNED))('nothing uses %s', (_word, pattern) => {
    const uses = files.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(uses).toEqual([]);
  });
});

import type { z } from 'zod';
import { createAccount } from '@nats-io/jwt';
import { expect } from 'vitest';
import { auditEntry } from '../../../contracts/messages/audit.ts';
import { controlRequest } from '../../../contracts/messages/control.ts';
import { delegatedJob, delegationMessage, jobContext } from '../../../contracts/messages/delegation.ts';
import { jobEvent } from '../../../contracts/messages/job-event.ts';
import { registrationReply, registrationRequest } from '../../../contracts/messages/registration.ts';
import { instanceDied, runnerSignal } from '../../../contracts/messages/runner-signal.ts';
import { parseGroupFromSubject, parseRunnerFromSubject } from '../../../contracts/messages/subjects.ts';
import { usageMessage } from '../../../contracts/messages/usage.ts';
import { decode, encode, parseCredentials } from '../../../contracts/lib/nats.ts';
import { parseValue } from '../../../contracts/lib/parse-value.ts';
import { verifyToken } from '../../../contracts/lib/proxy-token.ts';
import { parseGroupFromRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { parseTraceparent, toTraceparent } from '../../../services/shared/tracing/span.ts';
import type { FuzzTarget } from '../lib/target.ts';

/** A message body on NATS: JSON of a documented shape. What was read can be sent on, and is read as the same. */
function message(name: string, schema: z.ZodType): FuzzTarget {
  return {
    name: `message-${name}`,
    errors: ['MESSAGE_INVALID'],
    run: (text) => {
      const value = parseValue(schema, decode(Buffer.from(text)), name);
      expect(parseValue(schema, decode(encode(value)), name)).toEqual(value);
      return value;
    },
  };
}

const OTHER_KEY = createAccount().getPublicKey();

/** What jobs, agents, proxies and services send to one another. */
export const messageTargets: FuzzTarget[] = [
  message('runner-signal', runnerSignal),
  message('instance-died', instanceDied),
  message('registration-request', registrationRequest),
  message('registration-reply', registrationReply),
  message('job-event', jobEvent),
  message('delegation', delegationMessage),
  message('delegated-job', delegatedJob),
  message('job-context', jobContext),
  message('control', controlRequest),
  message('audit', auditEntry),
  message('usage', usageMessage),
  {
    name: 'credentials',
    errors: ['MESSAGE_INVALID'],
    run: (text) => {
      const { name, exp } = parseCredentials(text);
      expect([typeof name, typeof exp]).toEqual([
        expect.stringMatching(/^(string|undefined)$/),
        expect.stringMatching(/^(number|undefined)$/),
      ]);
    },
  },
  { name: 'proxy-token', run: (text) => expect(verifyToken(text, [OTHER_KEY, text], new Date())).toBeUndefined() },
  {
    name: 'subject',
    run: (text) => {
      // The names go into workflow ids: no part of a subject has a dot.
      for (const part of [parseRunnerFromSubject(text), parseGroupFromSubject(text)])
        expect(part ?? '').not.toContain('.');
      const group = parseGroupFromRunnerName('baton', text);
      if (group !== undefined) expect(text.startsWith(`baton-${group}-`)).toBe(true);
    },
  },
  {
    name: 'traceparent',
    run: (text) => {
      const span = parseTraceparent(text);
      if (span !== undefined) expect(parseTraceparent(toTraceparent(span))).toEqual(span);
    },
  },
];

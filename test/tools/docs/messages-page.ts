import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { applyReply, applyRequest } from '../../../contracts/messages/apply.ts';
import { auditEntry } from '../../../contracts/messages/audit.ts';
import { refusedRequest } from '../../../contracts/messages/refused-request.ts';
import { controlReply, controlRequest } from '../../../contracts/messages/control.ts';
import { delegationMessage } from '../../../contracts/messages/delegation.ts';
import { explainReply, explainRequest } from '../../../contracts/messages/explain.ts';
import { healthReply } from '../../../contracts/messages/health.ts';
import { jobEvent } from '../../../contracts/messages/job-event.ts';
import { registrationReply, registrationRequest } from '../../../contracts/messages/registration.ts';
import { instanceCreated, instanceDied, runnerSignal } from '../../../contracts/messages/runner-signal.ts';
import { status } from '../../../contracts/messages/status.ts';
import { HEADERS, STREAMS } from '../../../contracts/messages/streams.ts';
import { SIGNAL_KINDS, subjects } from '../../../contracts/messages/subjects.ts';
import { costRequest, costReply, usageMessage } from '../../../contracts/messages/usage.ts';
import { toJsonSchema, typeText, type JsonSchema } from './json-schema.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

interface Message {
  /** With its variable parts in capitals. */
  subject: string;
  body?: z.ZodType;
  reply?: z.ZodType;
}

/** What is sent on every subject; the compiler wants each of them here. */
const MESSAGES: Record<keyof typeof subjects, Message> = {
  webhook: { subject: subjects.webhook('FORGE', 'EVENT'), body: jobEvent },
  signal: { subject: subjects.signal('RUNNER', SIGNAL_KINDS[0]).replace(/[^.]+$/, 'KIND'), body: runnerSignal },
  instanceDied: { subject: subjects.instanceDied('RUNNER'), body: instanceDied },
  instanceCreated: { subject: subjects.instanceCreated('RUNNER'), body: instanceCreated },
  register: { subject: subjects.register('RUNNER'), body: registrationRequest, reply: registrationReply },
  status: { subject: subjects.status, reply: status },
  health: { subject: subjects.health('GROUP'), reply: healthReply },
  delegation: { subject: subjects.delegation('PROXY', 'requested').replace(/[^.]+$/, 'KIND'), body: delegationMessage },
  audit: { subject: subjects.audit('ACTION'), body: auditEntry },
  refusal: { subject: subjects.refusal, body: refusedRequest },
  apply: { subject: subjects.apply('SERVICE'), body: applyRequest, reply: applyReply },
  control: { subject: subjects.control, body: controlRequest, reply: controlReply },
  explain: { subject: subjects.explain, body: explainRequest, reply: explainReply },
  usage: { subject: subjects.usage('GROUP'), body: usageMessage },
  cost: { subject: subjects.cost, body: costRequest, reply: costReply },
  dead: { subject: subjects.dead('STREAM') },
};

/** The page of streams, subjects and messages, from contracts/messages. */
export function messagesPage(): string {
  const comments = subjectComments();
  const streams = Object.values(STREAMS).map(({ name, subjects: names, retention, maxAgeNs, maxBytes }) => [
    code(name),
    names.map(code).join(' '),
    retention === 'workqueue' ? 'until acknowledged' : 'until too old',
    maxAgeNs === 0 ? 'no limit' : `${maxAgeNs / 86_400_000_000_000} d`,
    `${maxBytes / 1024 ** 2} MiB`,
  ]);
  const sections = Object.entries(MESSAGES).map(([name, message]) => messageSection(message, comments.get(name)));
  return `# Streams and messages

${generatedFrom('contracts/messages')}

The services talk over NATS. JetStream keeps what must survive a crash in the streams below. Everything else is request and
reply. All messages are JSON, and the receiver checks each one against its schema. A message that can never be handled becomes
a dead letter: it goes to the stream \`${STREAMS.dead.name}\` with the reason in the headers
${[HEADERS.reasonCode, HEADERS.reason, HEADERS.originalSubject, HEADERS.deliveries].map(code).join(', ')}.

## Streams

${markdownTable(['Stream', 'Subjects', 'Kept', 'Oldest', 'Largest'], streams)}

## Subjects

Words in capitals stand for a name. In the tables, \`?\` marks a field that may be left out.

${sections.join('\n\n')}
`;
}

function messageSection({ subject, body, reply }: Message, comment: string | undefined): string {
  if (comment === undefined) throw new Error(`contracts/messages/subjects.ts: ${subject} has no comment`);
  const parts = [`### ${subject}`, comment];
  if (body !== undefined) parts.push(fieldTable(reply === undefined ? 'Field' : 'Request', toJsonSchema(body)));
  if (reply !== undefined) parts.push(fieldTable('Reply', toJsonSchema(reply)));
  return parts.join('\n\n');
}

function fieldTable(heading: string, schema: JsonSchema): string {
  const fields = listFields(schema, '');
  if (fields.every(({ onlyIf }) => onlyIf === undefined)) {
    return markdownTable(
      [heading, 'Type'],
      fields.map(({ path, type }) => [code(path), type]),
    );
  }
  return markdownTable(
    [heading, 'Type', 'Only if'],
    fields.map(({ path, type, onlyIf }) => [code(path), type, onlyIf === undefined ? '' : code(onlyIf)]),
  );
}

interface Field {
  path: string;
  type: string;
  /** Such as `kind: started`. */
  onlyIf?: string | undefined;
}

function listFields(schema: JsonSchema, prefix: string): Field[] {
  const kinds = schema.oneOf ?? schema.anyOf;
  if (kinds?.every(({ properties }) => properties !== undefined)) return listKinds(kinds, prefix);
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const optional = (schema.required ?? []).includes(name) ? '' : '?';
    return listValue(`${prefix}${name}`, value, optional);
  });
}

function listValue(path: string, value: JsonSchema, optional: string): Field[] {
  const own = { path: `${path}${optional}`, type: typeText(value) };
  const items = value.type === 'array' ? value.items : undefined;
  if (items?.properties !== undefined) return [own, ...listFields(items, `${path}[].`)];
  const object = [value, ...(value.anyOf ?? [])].find(({ properties }) => properties !== undefined);
  return object === undefined ? [own] : [own, ...listFields(object, `${path}.`)];
}

/** What all kinds have, then what each has of its own. */
function listKinds(kinds: readonly JsonSchema[], prefix: string): Field[] {
  const [first, ...others] = kinds;
  const isShared = (name: string): boolean => {
    const [one, ...more] = kinds.map(({ properties }) => JSON.stringify(properties?.[name]));
    return more.every((other) => other === one);
  };
  const tag = Object.entries(first?.properties ?? {}).find(
    ([name, { const: value }]) => value !== undefined && others.length > 0 && !isShared(name),
  )?.[0];
  if (first === undefined || tag === undefined)
    throw new Error('a union of messages without a field that distinguishes them');
  const values = kinds.map(({ properties }) => `\`${String(properties?.[tag]?.const)}\``);
  const pick = (kind: JsonSchema, wanted: (name: string) => boolean): JsonSchema => ({
    ...kind,
    properties: Object.fromEntries(Object.entries(kind.properties ?? {}).filter(([name]) => wanted(name))),
  });
  return [
    ...listFields(pick(first, isShared), prefix),
    { path: `${prefix}${tag}`, type: values.join(', ') },
    ...kinds.flatMap((kind) =>
      listFields(
        pick(kind, (name) => name !== tag && !isShared(name)),
        prefix,
      ).map((field) => ({ ...field, onlyIf: `${tag}: ${String(kind.properties?.[tag]?.const)}` })),
    ),
  ];
}

/** What the comment above each subject says. */
function subjectComments(): Map<string, string> {
  const source = readFileSync(new URL('../../../contracts/messages/subjects.ts', import.meta.url), 'utf8');
  return new Map(
    [...source.matchAll(/\/\*\* ([^]*?) ?\*\/\n\s*(\w+):/g)].map(([, text = '', name = '']) => [
      name,
      text.replaceAll(/\n\s*\* ?/g, ' ').replaceAll(/:? \{@link [^}]*\}/g, ''),
    ]),
  );
}

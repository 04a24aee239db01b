import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { z } from 'zod';

/** The file with GitHub's own description of its REST API and webhooks (OpenAPI 3.0). */
export const DESCRIPTION = createRequire(import.meta.url).resolve('@octokit/openapi/generated/api.github.com.json');

const schemaRef = z.object({ $ref: z.string() });
const description = z.object({
  components: z.looseObject({}),
  'x-webhooks': z.record(
    z.string(),
    z.object({
      post: z.object({
        requestBody: z.object({ content: z.object({ 'application/json': z.object({ schema: schemaRef }) }) }),
      }),
    }),
  ),
});

/** Validates values against parts of the description. */
export class Description {
  readonly #read = description.parse(JSON.parse(readFileSync(DESCRIPTION, 'utf8')));
  readonly #ajv = new Ajv({ strict: false, allErrors: true });

  constructor() {
    formats.default(this.#ajv);
    this.#ajv.addSchema({ $id: 'github', components: asJsonSchema(this.#read.components) });
  }

  /** How a value violates `components.schemas[name]`; empty if it does not. */
  problems(name: string, value: unknown): string[] {
    return this.#check(`#/components/schemas/${name}`, value);
  }

  /** How a webhook's body violates the description. `action` is null for events without one. */
  webhookProblems(event: string, action: string | null, body: unknown): string[] {
    const name = [event, action]
      .filter((part) => part !== null)
      .join('-')
      .replaceAll('_', '-');
    const webhook = this.#read['x-webhooks'][name];
    if (!webhook) return [`GitHub has no webhook ${name}`];
    return this.#check(webhook.post.requestBody.content['application/json'].schema.$ref, body);
  }

  #check(pointer: string, value: unknown): string[] {
    const validate: ValidateFunction | undefined = this.#ajv.getSchema(`github${pointer}`);
    if (!validate) return [`the description has no ${pointer}`];
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${error.instancePath || '/'} ${error.message ?? ''}`);
  }
}

const failures = z.record(z.string(), z.record(z.string(), z.object({ responses: z.looseObject({}) })));

/** The statuses from 400 that GitHub documents for a call, by its path with parameters in braces. */
export function listDocumentedFailures(method: string, path: string): number[] {
  const { paths } = z.object({ paths: z.looseObject({}) }).parse(JSON.parse(readFileSync(DESCRIPTION, 'utf8')));
  const { responses } = failures.parse({ [path]: paths[path] })[path]?.[method] ?? { responses: {} };
  return Object.keys(responses)
    .map(Number)
    .filter((status) => status >= 400);
}

/** Converts OpenAPI 3.0's `nullable` to JSON Schema. */
function asJsonSchema(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(asJsonSchema);
  if (typeof node !== 'object' || node === null) return node;
  const { nullable, ...rest }: Record<string, unknown> = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, asJsonSchema(value)]),
  );
  return nullable === true ? { anyOf: [rest, { type: 'null' }] } : rest;
}

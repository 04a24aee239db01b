import { z } from 'zod';
import { createConfigSchema } from '../../../contracts/config/schema.ts';

type Scalar = string | number | boolean | null;

/** As much of JSON Schema as the configuration's has. */
export interface JsonSchema {
  type?: string | string[] | undefined;
  description?: string | undefined;
  default?: unknown;
  const?: Scalar | undefined;
  enum?: Scalar[] | undefined;
  pattern?: string | undefined;
  format?: string | undefined;
  properties?: Record<string, JsonSchema> | undefined;
  required?: string[] | undefined;
  items?: JsonSchema | undefined;
  anyOf?: JsonSchema[] | undefined;
  oneOf?: JsonSchema[] | undefined;
  additionalProperties?: boolean | JsonSchema | undefined;
}

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const jsonSchema: z.ZodType<JsonSchema> = z.lazy(() =>
  z.object({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    description: z.string().optional(),
    default: z.unknown().optional(),
    const: scalar.optional(),
    enum: z.array(scalar).optional(),
    pattern: z.string().optional(),
    format: z.string().optional(),
    properties: z.record(z.string(), jsonSchema).optional(),
    required: z.array(z.string()).optional(),
    items: jsonSchema.optional(),
    anyOf: z.array(jsonSchema).optional(),
    oneOf: z.array(jsonSchema).optional(),
    additionalProperties: z.union([z.boolean(), jsonSchema]).optional(),
  }),
);

export function readConfigSchema(): JsonSchema {
  return jsonSchema.parse(createConfigSchema());
}

/** Any zod schema as JSON Schema: what a sender may write. */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  return jsonSchema.parse(z.toJSONSchema(schema, { io: 'input' }));
}

/** A type in a few words. */
export function typeText(schema: JsonSchema): string {
  const { type, pattern, format, items, additionalProperties } = schema;
  const options =
    schema.anyOf ?? schema.oneOf ?? (Array.isArray(type) ? type.map((one) => ({ type: one })) : undefined);
  if (options !== undefined) return unionText(options);
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  switch (type) {
    case 'string':
      return stringText(pattern, format);
    case 'integer':
      return 'whole number';
    case 'number':
      return 'number';
    case 'boolean':
      return 'true or false';
    case 'null':
      return 'null';
    case 'array':
      return `list of ${items === undefined ? 'anything' : (PLURALS.get(typeText(items)) ?? typeText(items))}`;
    case 'object':
      return schema.properties === undefined && typeof additionalProperties === 'object'
        ? `${typeText(additionalProperties)} by name`
        : 'object';
    default:
      return 'anything';
  }
}

function stringText(pattern: string | undefined, format: string | undefined): string {
  if (pattern?.includes('(ms|s|m|h|d)')) return 'duration';
  if (pattern?.includes('KiB')) return 'size';
  if (pattern?.startsWith(String.raw`^\$\{`)) return 'secret';
  if (format === 'uri') return 'address';
  if (format === 'date-time') return 'time';
  return 'text';
}

/** Those that differ, such as `text, number or null`. */
function unionText(options: readonly JsonSchema[]): string {
  const parts = [
    ...new Set(options.flatMap((option) => (option.type === 'boolean' ? ['true', 'false'] : [typeText(option)]))),
  ];
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts.at(-1)}`;
}

const PLURALS = new Map([
  ['text', 'texts'],
  ['object', 'objects'],
  ['text or object', 'texts or objects'],
  ['whole number', 'whole numbers'],
  ['number', 'numbers'],
  ['secret', 'secrets'],
  ['address', 'addresses'],
]);

import { createRequire } from 'node:module';
import protobuf from 'protobufjs';
import { z } from 'zod';

/** The published schema of compute v1, from Google's own client library. */
const root = protobuf.Root.fromJSON(createRequire(import.meta.url)('@google-cloud/compute/build/protos/protos.json'));
const PACKAGE = 'google.cloud.compute.v1';
root.resolveAll();

/** Fields that the documentation requires of a new instance. The schema can't: answers use the same message types. */
const REQUIRED_FIELDS: Record<string, string[]> = {
  Instance: ['name', 'machineType', 'disks', 'networkInterfaces'],
};

const httpRule = z.object({
  get: z.string().optional(),
  post: z.string().optional(),
  delete: z.string().optional(),
  body: z.string().optional(),
});

export interface Method {
  /** `Instances.Insert` */
  name: string;
  verb: string;
  path: RegExp;
  request: protobuf.Type;
  response: protobuf.Type;
  /** The field of the request that is its body. */
  body: string | undefined;
}

/** The HTTP methods of these services. */
export function listMethods(services: readonly string[]): Method[] {
  return services.flatMap((service) =>
    root.lookupService(`${PACKAGE}.${service}`).methodsArray.map((method) => {
      const options: Record<string, unknown>[] = method.parsedOptions ?? [];
      const rule = httpRule.parse(options.find((option) => '(google.api.http)' in option)?.['(google.api.http)']);
      const [verb = '', template = ''] =
        Object.entries(rule).find(([key, value]) => ['get', 'post', 'delete'].includes(key) && value !== undefined) ??
        [];
      return {
        name: `${service}.${method.name}`,
        verb: verb.toUpperCase(),
        path: new RegExp(
          `^${template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => `(?<${toCamelCase(name)}>[^/]+)`)}$`,
        ),
        request: root.lookupType(`${PACKAGE}.${method.requestType}`),
        response: root.lookupType(`${PACKAGE}.${method.responseType}`),
        body: rule.body && toCamelCase(rule.body),
      };
    }),
  );
}

/** What is wrong with a request, as Google words it. */
export interface Violation {
  reason: 'badRequest' | 'required' | 'invalid';
  message: string;
}

/**
 * Checks the parameters of path and query, and the body: unknown, missing, of a wrong type, not a value of its enum.
 */
export function checkRequest(method: Method, parameters: Record<string, string>, body: unknown): Violation | undefined {
  for (const [name, value] of Object.entries(parameters)) {
    const field = method.request.fields[name];
    if (field === undefined || name === method.body) return unknownName(name, '');
    const wrong = checkScalar(field, /^(u?int|bool)/.test(field.type) ? parseJson(value) : value, name);
    if (wrong) return wrong;
  }
  if (method.body === undefined) {
    if (body !== undefined)
      return { reason: 'badRequest', message: 'Invalid JSON payload received. No body is expected.' };
  } else if (body === undefined) {
    return { reason: 'required', message: `Required field '${method.body}' not specified` };
  }
  for (const field of method.request.fieldsArray) {
    const required = field.options?.['(google.api.field_behavior)'] === 'REQUIRED';
    if (required && field.name !== method.body && !(field.name in parameters)) {
      return { reason: 'required', message: `Required parameter: ${field.name}` };
    }
  }
  const type = method.body === undefined ? undefined : method.request.fields[method.body]?.resolvedType;
  if (!(type instanceof protobuf.Type)) return undefined;
  const wrong = checkMessage(type, body, 'resource');
  if (wrong) return wrong;
  const missing = REQUIRED_FIELDS[type.name]?.find((name) => Object(body)[name] === undefined);
  return missing === undefined
    ? undefined
    : { reason: 'required', message: `Invalid value for field 'resource.${missing}': ''. Required field is missing.` };
}

/** Checks a message; the server checks its own answers with it too. */
export function checkMessage(type: protobuf.Type, value: unknown, path: string): Violation | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrongType(path, type.name, value);
  for (const [name, content] of Object.entries(value)) {
    const field = type.fields[name];
    if (field === undefined) return unknownName(name, path);
    const here = `${path}.${name}`;
    const wrong = checkField(type, field, content, here);
    if (wrong) return wrong;
  }
  return undefined;
}

function checkField(type: protobuf.Type, field: protobuf.Field, content: unknown, here: string): Violation | undefined {
  if (field instanceof protobuf.MapField || field.repeated) {
    const isMap = field instanceof protobuf.MapField;
    if (typeof content !== 'object' || content === null || Array.isArray(content) === isMap) {
      return wrongType(here, isMap ? 'map' : 'array', content);
    }
    for (const [key, element] of Object.entries(content)) {
      const wrong = checkSingle(type, field, element, `${here}[${key}]`);
      if (wrong) return wrong;
    }
    return undefined;
  }
  return checkSingle(type, field, content, here);
}

function checkSingle(
  type: protobuf.Type,
  field: protobuf.Field,
  content: unknown,
  here: string,
): Violation | undefined {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Type) return checkMessage(resolvedType, content, here);
  if (resolvedType instanceof protobuf.Enum) return checkEnum(resolvedType, content, here);
  const wrong = checkScalar(field, content, here);
  if (wrong) return wrong;
  // Compute sends enums as text; the enum has the field's name.
  const named = type.nested?.[`${field.name.charAt(0).toUpperCase()}${field.name.slice(1)}`];
  return field.type === 'string' && named instanceof protobuf.Enum ? checkEnum(named, content, here) : undefined;
}

function checkEnum(values: protobuf.Enum, content: unknown, here: string): Violation | undefined {
  if (typeof content === 'string' && content in values.values && !content.startsWith('UNDEFINED_')) return undefined;
  const message = `Invalid value for field '${here}': '${String(content)}'. ${String(content)} is not one of the enum's values.`;
  return { reason: 'invalid', message };
}

function checkScalar(field: protobuf.Field, content: unknown, here: string): Violation | undefined {
  const fits =
    field.type === 'string'
      ? typeof content === 'string'
      : field.type === 'bool'
        ? typeof content === 'boolean'
        : /^u?int(32|64)$/.test(field.type)
          ? /^-?\d+$/.test(String(content)) && (field.type.endsWith('64') || typeof content === 'number')
          : typeof content === 'number';
  return fits ? undefined : wrongType(here, field.type, content);
}

function unknownName(name: string, path: string): Violation {
  const at = path === '' ? '' : ` at '${path}'`;
  return {
    reason: 'badRequest',
    message: `Invalid JSON payload received. Unknown name "${name}"${at}: Cannot find field.`,
  };
}

function wrongType(path: string, type: string, value: unknown): Violation {
  const message = `Invalid value at '${path}' (TYPE_${type.toUpperCase()}), ${JSON.stringify(value)}`;
  return { reason: 'badRequest', message };
}

function toCamelCase(name: string): string {
  return name.replaceAll(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

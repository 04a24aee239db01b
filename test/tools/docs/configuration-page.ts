import { readConfigSchema, typeText, type JsonSchema } from './json-schema.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

/** Objects with more keys than this have a table of their own. */
const MAX_INLINE_KEYS = 5;

/** The page of all keys of baton.yaml, from the schema that checks the file. */
export function configurationPage(): string {
  const { properties = {} } = readConfigSchema();
  const { backends, groups, ...others } = properties;
  const objects = Object.entries(others).filter(([, schema]) => schema.properties !== undefined);
  const scalars = Object.fromEntries(Object.entries(others).filter(([, schema]) => schema.properties === undefined));
  return `# Configuration

${generatedFrom('contracts/config')}

One YAML file, \`baton.yaml\`, configures all services of an installation. [Groups](../guides/groups.md) and the pages of the
[backends](../guides/install.md#choose-a-backend) explain how to use it, and there is a complete
[example](../examples) for each backend. Check a file before you use it:

\`\`\`console
$ npx baton config check baton.yaml
\`\`\`

- **Where it is read:** \`--config FILE\`, else the variable \`BATON_CONFIG\`, else \`baton.yaml\` in the current folder.
- **Errors:** an unknown key or a wrong type is an error. The error names the file, the line, the column and what is expected.
- **Secrets** are never in the file. Write \`\${NAME}\` and set the variable \`NAME\` for the one process that uses it.
- **Durations** are written \`500ms\`, \`30s\`, \`10m\`, \`12h\`, \`5d\`; **sizes** \`512MiB\`, \`4GiB\`.
- **Editors** complete and explain keys if the file begins with \`# yaml-language-server: $schema=PATH\`, where PATH is
  [baton.schema.json](baton.schema.json) (\`baton config schema\` prints it).

In the tables, “required” means that there is no default. “–” means that the key may be left out.

## The installation

${table({ properties: scalars })}

${objects.map(([name, schema]) => section(name, name, schema)).join('\n\n')}

${section('groups', 'groups[]', { ...groups?.items, description: groups?.description })}

${backendSections(backends)}
`;
}

/** A heading, what the object is, its keys, and a section for each large object in it. */
function section(heading: string, path: string, schema: JsonSchema, level = 2): string {
  const large = Object.entries(schema.properties ?? {}).filter(([, value]) => isLarge(value));
  return [
    `${'#'.repeat(level)} ${heading}`,
    schema.description ?? missing(path),
    table(schema, path),
    ...large.map(([name, value]) => section(`${path}.${name}`, `${path}.${name}`, inner(value, path), level + 1)),
  ].join('\n\n');
}

function backendSections(backends: JsonSchema | undefined): string {
  const map = backends?.additionalProperties;
  const kinds = typeof map === 'object' ? (map.oneOf ?? []) : [];
  const shared = commonKeys(kinds);
  const clouds = kinds.filter(({ properties }) => properties?.['ingress_url'] !== undefined);
  const cloud = commonKeys(clouds);
  for (const key of Object.keys(shared)) delete cloud[key];
  const sections = kinds.map((kind) => {
    const type = String(kind.properties?.['type']?.const);
    const own = Object.entries(kind.properties ?? {}).filter(([key]) => !(key in shared) && !(key in cloud));
    return section(`Backend ${type}`, `backends.NAME`, { ...kind, properties: Object.fromEntries(own) });
  });
  return [
    section('backends', 'backends.NAME', { description: backends?.description, properties: shared }),
    section('Backends of clouds', 'backends.NAME', {
      description: `All backends that make virtual machines (${clouds.map((kind) => code(String(kind.properties?.['type']?.const))).join(', ')}) have these keys too.`,
      properties: cloud,
      required: clouds[0]?.required,
    }),
    ...sections,
  ].join('\n\n');
}

/** The keys that are the same in all of them. */
function commonKeys(schemas: readonly JsonSchema[]): Record<string, JsonSchema> {
  const [first, ...others] = schemas;
  return Object.fromEntries(
    Object.entries(first?.properties ?? {}).filter(([key, value]) =>
      others.every(({ properties }) => JSON.stringify(properties?.[key]) === JSON.stringify(value)),
    ),
  );
}

function table(schema: JsonSchema, path = ''): string {
  return markdownTable(['Key', 'Type', 'Default', 'Meaning'], rows(schema, path, ''));
}

function rows(schema: JsonSchema, path: string, prefix: string): string[][] {
  const seen = new Map<string, string>();
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const key = `${prefix}${name}`;
    const object = objectOf(value);
    if (object === undefined) return [row(key, path, schema, name, value, typeText(value))];
    if (isLarge(value)) {
      return [
        row(
          key,
          path,
          schema,
          name,
          value,
          `[${value.type === 'array' ? 'list of objects' : 'object'}](#${anchor(`${path}.${name}`)})`,
        ),
      ];
    }
    const shape = JSON.stringify(object.properties);
    const same = seen.get(shape);
    if (same !== undefined) return [row(key, path, schema, name, value, `list of objects like ${code(same)}`)];
    seen.set(shape, key);
    const type = (value.anyOf ?? []).some((option) => option.type !== 'object') ? typeText(value) : undefined;
    const own = value.type === 'array' || type !== undefined || isOptional(schema, name, value);
    return [
      ...(own ? [row(key, path, schema, name, value, type ?? typeText(value))] : []),
      ...rows(object, path, `${key}${value.type === 'array' ? '[]' : ''}.`),
    ];
  });
}

/** An object that may be left out as a whole has a row of its own; of others the keys are enough. */
function isOptional(schema: JsonSchema, name: string, { default: value }: JsonSchema): boolean {
  return value === undefined && !(schema.required ?? []).includes(name);
}

function row(key: string, path: string, schema: JsonSchema, name: string, value: JsonSchema, type: string): string[] {
  const text = value.description ?? (value.type === 'array' ? value.items?.description : undefined);
  const given = defaultText(value.default);
  const { meaning, otherwise } = given === undefined ? splitDefault(text ?? '') : { meaning: text ?? '' };
  if (meaning === '') missing(`${path}.${key}`);
  const required = (schema.required ?? []).includes(name);
  return [code(key), type, given ?? otherwise ?? (required ? 'required' : '–'), meaning.trim().replace(/\.$/, '')];
}

/** A description may end with what holds if the key is left out: `Default: the image’s own.` */
function splitDefault(description: string): { meaning: string; otherwise?: string | undefined } {
  const [, meaning = description, otherwise] =
    /^([^]*?)(?:(?:^|[ ;] ?)[Dd]efault: ((?:[^.]|\.(?! ))*?)\.?)?$/.exec(description) ?? [];
  return { meaning: meaning.replace(/;$/, ''), otherwise };
}

function defaultText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map((one) => code(String(one))).join(', ');
  if (typeof value === 'object') return '–';
  return code(typeof value === 'string' ? value : JSON.stringify(value));
}

/** The object that a key's value is, may be, or is a list of. */
function objectOf(schema: JsonSchema): JsonSchema | undefined {
  return [schema, schema.items, ...(schema.anyOf ?? []), ...(schema.items?.anyOf ?? [])].find(
    (candidate) => candidate?.properties !== undefined,
  );
}

function inner(schema: JsonSchema, path: string): JsonSchema {
  return { ...objectOf(schema), description: schema.description ?? missing(path) };
}

function isLarge(schema: JsonSchema): boolean {
  const object = objectOf(schema);
  return object !== undefined && Object.keys(object.properties ?? {}).length > MAX_INLINE_KEYS;
}

/** GitHub's own anchor of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(/\s/g, '-');
}

function missing(path: string): never {
  throw new Error(`contracts/config: ${path} has no description`);
}

import { gceInvalid } from './errors.ts';

/**
 * Parses a filter of the list methods: `field = "value"` in parentheses joined by AND, or one `field eq
 * regular-expression` without parentheses. Anything else is refused, as is a field that the resource doesn't have.
 */
export function parseFilter(text: string, fields: readonly string[]): (resource: object) => boolean {
  const conditions = text.startsWith('(') ? text.slice(1, -1).split(/\) AND \(/) : [text];
  const tests = conditions.map((condition) => {
    const equal = /^([\w.-]+) = "([^"]*)"$/.exec(condition.replaceAll(/^\(|\)$/g, ''));
    const matches = /^([\w.-]+) eq "?([^"]*)"?$/.exec(text);
    const [, field = '', value = ''] = equal ?? matches ?? [];
    if (!fields.includes(field.split('.')[0] ?? ''))
      throw gceInvalid(`Invalid value for field 'filter': '${text}'. Invalid list filter expression.`);
    const pattern = equal === null ? new RegExp(`^(?:${value})$`) : undefined;
    return (resource: object): boolean => {
      const content = readPath(resource, field);
      return pattern ? pattern.test(content) : content === value;
    };
  });
  return (resource) => tests.every((test) => test(resource));
}

function readPath(resource: object, path: string): string {
  const found = path.split('.').reduce<unknown>((here, key) => Reflect.get(Object(here), key), resource);
  return typeof found === 'string' ? found : '';
}

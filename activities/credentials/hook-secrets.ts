import { readExactSecret } from '../../contracts/lib/read-secret.ts';
import type { HookSettings, HookValue, ResolvedHooks } from '../../contracts/workflows/hook-settings.ts';

/**
 * Adds to a group's hooks the secrets that they name, read from this process's environment only when needed. The result
 * goes into the instance's bootstrap file and nowhere else.
 *
 * @throws BatonError SECRET_MISSING naming the variable
 */
export function resolveHooks(hooks: HookSettings, env: NodeJS.ProcessEnv = process.env): ResolvedHooks {
  const secrets = new Set<string>();
  const resolve = (values: Record<string, HookValue>): Record<string, string> => {
    return Object.fromEntries(
      Object.entries(values).map(([name, value]) => {
        if (typeof value === 'string') return [name, value];
        const secret = readExactSecret(value, env);
        secrets.add(secret);
        return [name, secret];
      }),
    );
  };
  return {
    ...hooks,
    env: resolve(hooks.env),
    wrappers: hooks.wrappers.map((one) => ({ ...one, with: resolve(one.with), env: resolve(one.env) })),
    secrets: [...secrets],
  };
}

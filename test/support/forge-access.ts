import { generateKeyPairSync } from 'node:crypto';
import type { SimulatorOptions } from '../../services/simulator/settings.ts';

export const CLUSTER_TOKEN = 'ghp_a_token_of_the_e2e_tests';

/** How an installation signs in to the simulator. */
export interface ForgeAccess {
  /** Keys of the configuration's `forge:`. */
  config: string;
  /** The environment variables with its secrets. */
  environment: Record<string, string>;
  /** What the simulator must accept. */
  simulator: Pick<SimulatorOptions, 'tokens' | 'apps'>;
}

/** Access with so many Apps; without any, with a token. */
export function createForgeAccess(appCount: number): ForgeAccess {
  const simulator = { tokens: [CLUSTER_TOKEN] };
  if (appCount === 0) {
    return { config: 'token: ${E2E_FORGE_TOKEN}', environment: { E2E_FORGE_TOKEN: CLUSTER_TOKEN }, simulator };
  }
  const apps = Array.from({ length: appCount }, (_, index) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    const variable = `E2E_APP_KEY_${index + 1}`;
    return { id: 5 + index, installation: 1 + index * 1_000, publicKey, privateKey, variable };
  });
  const items = apps.map(
    ({ id, installation, variable }) => `{ id: ${id}, installation: ${installation}, private_key: '\${${variable}}' }`,
  );
  return {
    config: `apps: [${items.join(', ')}]`,
    environment: Object.fromEntries(apps.map(({ variable, privateKey }) => [variable, privateKey])),
    simulator: {
      ...simulator,
      apps: apps.map(({ id, installation, publicKey }) => ({ id, installation, publicKey })),
    },
  };
}

import { STATUS_CODES } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import Docker from 'dockerode';
import { z } from 'zod';

/**
 * The lists of errors in the client libraries, as installed: a table of answers made from them grows with the library, and a code
 * that is new there has no row yet, which fails.
 */
const require = createRequire(import.meta.url);

/** Loads a file beside the entry of a package that another package depends on: the very copy that it uses. */
function loadBeside(dependent: string, entry: string, file: string): unknown {
  const path = createRequire(require.resolve(dependent)).resolve(entry);
  return require(join(dirname(path), file));
}

/** All statuses of refusals and failures that HTTP has, ascending. */
export const HTTP_FAILURES: readonly number[] = Object.keys(STATUS_CODES)
  .map(Number)
  .filter((status) => status >= 400);

const googleStatus = z.object({
  Status: z.record(z.string(), z.union([z.string(), z.number()])),
  HttpCodeToRpcCodeMap: z.map(z.number(), z.number()),
});

/** Google's library: the names of its statuses, except OK, and the HTTP statuses that it tells apart. */
export function readGoogleStatuses(): { names: string[]; http: number[] } {
  const list = googleStatus.parse(loadBeside('@google-cloud/compute', 'google-gax', 'status.js'));
  const names = Object.keys(list.Status).filter((name) => !/^\d+$/.test(name) && name !== 'OK');
  return { names, http: [...list.HttpCodeToRpcCodeMap.keys()] };
}

/** The codes of the warnings that lists of Compute Engine may have, from the schema in Google's library. */
export function readGoogleWarnings(): string[] {
  const path = ['google', 'cloud', 'compute', 'v1', 'Warning', 'Code'];
  let here: unknown = require('@google-cloud/compute/build/protos/protos.json');
  for (const name of path) here = Reflect.get(Object(Reflect.get(Object(here), 'nested')), name);
  const { values } = z.object({ values: z.record(z.string(), z.number()) }).parse(here);
  return Object.keys(values).filter((name) => !name.startsWith('UNDEFINED_'));
}

const amazonCodes = z.object({
  CLOCK_SKEW_ERROR_CODES: z.array(z.string()),
  THROTTLING_ERROR_CODES: z.array(z.string()),
  TRANSIENT_ERROR_CODES: z.array(z.string()),
  TRANSIENT_ERROR_STATUS_CODES: z.array(z.number()),
  NODEJS_TIMEOUT_ERROR_CODES: z.array(z.string()),
  NODEJS_NETWORK_ERROR_CODES: z.array(z.string()),
});

/** The error codes that Amazon's library tells apart, by kind. */
export function readAmazonCodes(): z.infer<typeof amazonCodes> {
  const file = '../../../dist-es/submodules/retry/service-error-classification/constants.js';
  return amazonCodes.parse(loadBeside('@aws-sdk/client-ec2', '@smithy/core/retry', file));
}

const dialOptions = z.object({ statusCodes: z.record(z.string(), z.union([z.boolean(), z.string()])) });

/** The statuses that dockerode expects as answers to these requests: of success, and of an error. */
export async function readDockerStatuses(
  requests: Record<string, (docker: Docker) => Promise<unknown>>,
): Promise<Record<string, { done: number[]; refused: number[] }>> {
  const found: Record<string, { done: number[]; refused: number[] }> = {};
  for (const [step, request] of Object.entries(requests)) {
    const docker = new Docker({ host: '127.0.0.1', port: 1 });
    let statuses: [status: number, meaning: boolean | string][] = [];
    docker.modem.dial = (options, callback) => {
      const { statusCodes } = dialOptions.parse(options);
      statuses = Object.entries(statusCodes).map(([status, meaning]) => [Number(status), meaning]);
      callback?.(null, []);
    };
    await request(docker);
    found[step] = {
      done: statuses.filter(([, meaning]) => meaning === true).map(([status]) => status),
      refused: statuses.filter(([, meaning]) => meaning !== true).map(([status]) => status),
    };
  }
  return found;
}

const descriptionOf = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

/** All error statuses in GitHub's descriptions of its REST API: github.com and the newest GitHub Enterprise Server. */
export function readForgeStatuses(): number[] {
  const statuses = new Set<number>();
  for (const name of ['api.github.com', 'ghec', 'ghes-3.19']) {
    const { paths } = descriptionOf.parse(require(`@octokit/openapi/generated/${name}.json`));
    for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
      const { responses } = z
        .object({ responses: z.record(z.string(), z.unknown()).default({}) })
        .parse(Object(operation));
      for (const status of Object.keys(responses).map(Number)) if (status >= 400) statuses.add(status);
    }
  }
  return [...statuses].toSorted((a, b) => a - b);
}

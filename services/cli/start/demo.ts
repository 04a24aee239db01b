import { createHash } from 'node:crypto';

export const DEMO_ORGANIZATION = 'acme';
export const DEMO_REPOSITORY = 'hello';
export const DEMO_LABELS = ['linux', 'x64'];

/** Environment variables of the demo's secrets, which are made at each start. */
export const DEMO_SECRETS = { webhook: 'BATON_DEMO_WEBHOOK_SECRET', token: 'BATON_DEMO_TOKEN' } as const;

/**
 * The name of the demo's installation: `demo-` and four characters that differ from folder to folder, so that two demos on
 * one engine never take each other's containers for their own.
 */
export function toInstallationName(folder: string): string {
  return `demo-${createHash('sha256').update(folder).digest('hex').slice(0, 4)}`;
}

/** Three jobs: a matrix makes one of them three, one fails on purpose, one needs another. */
export const DEMO_WORKFLOW = `name: hello
on: push
jobs:
  greet:
    runs-on: [self-hosted, linux, x64]
    strategy:
      matrix:
        whom: [world, moon, mars]
    steps:
      - run: echo "hello, \${{ matrix.whom }}, from $RUNNER_NAME"
      - run: sleep 1
  fail:
    runs-on: [self-hosted, linux]
    steps:
      - run: echo "this job fails on purpose"
      - run: exit 3
  report:
    runs-on: [self-hosted, x64]
    needs: greet
    steps:
      - run: echo "all were greeted"
`;

/** How each job of the demo should end, by its key in the workflow file. */
export const DEMO_CONCLUSIONS: Readonly<Record<string, string>> = {
  greet: 'success',
  fail: 'failure',
  report: 'success',
};

/** Number of jobs of the demo, those of its matrix included. */
export const DEMO_JOBS = 5;

/** What the demo's configuration depends on. */
export interface DemoSettings {
  installation: string;
  forgeUrl: string;
  backend:
    | {
        type: 'docker';
        socket: string;
        image: string;
        /** Whether jobs reach this machine, as no packet filter can be made. */
        allowHostAccess: boolean;
      }
    | { type: 'local'; root: string };
  /** Folder of the fake runner, as an instance of that backend sees it. */
  runnerDirectory: string;
}

/** The demo's configuration; the addresses of the servers are filled in as in any other. */
export function createDemoConfig(choice: DemoSettings): object {
  const { backend } = choice;
  return {
    name: choice.installation,
    forge: { url: choice.forgeUrl, token: `\${${DEMO_SECRETS.token}}` },
    webhook: { secrets: [`\${${DEMO_SECRETS.webhook}}`] },
    backends: {
      [backend.type]:
        backend.type === 'docker'
          ? {
              type: 'docker',
              socket: backend.socket,
              ...(backend.allowHostAccess ? { allow_host_access: true } : {}),
            }
          : { type: 'local', root: backend.root },
    },
    time_to_start: '2m',
    time_to_live: '10m',
    groups: [
      {
        name: 'linux',
        organization: DEMO_ORGANIZATION,
        labels: DEMO_LABELS,
        max: 4,
        backend: backend.type,
        ...(backend.type === 'docker' ? { instance: { image: backend.image, memory: '512MiB' } } : {}),
        runner: { directory: choice.runnerDirectory },
      },
    ],
  };
}

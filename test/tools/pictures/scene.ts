import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DispatcherSnapshot, dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { Cluster } from '../../support/cluster.ts';
import { until } from '../../support/until.ts';
import { push } from '../../../services/simulator/jobs/run.ts';
import type { Job } from '../../../services/simulator/state.ts';

/** A file in the cluster's folder; the long jobs run until it exists. */
const CURTAIN = 'curtain';

const CONFIG = `
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux, x64], backend: local, max: 4, runner: { directory: ROOT/runner } }
  - { name: large, organization: acme, labels: [large, x64], backend: local, max: 2, runner: { directory: ROOT/runner } }
  - { name: release, organization: acme, labels: [release, x64], backend: local, max: 3, min: 1, runner: { directory: ROOT/runner } }
`;

/** An ordinary workflow of a repository: quick checks, one of which fails, then jobs that take long. */
const workflow = (curtain: string): string => `
name: CI
on: push
jobs:
  lint:
    runs-on: [self-hosted, linux]
    steps: [{ run: 'echo 214 files checked; sleep 1' }]
  unit:
    name: unit tests
    runs-on: [self-hosted, linux]
    steps: [{ run: 'echo 1,312 passed; sleep 1.5' }]
  docs:
    name: docs links
    runs-on: [self-hosted, linux]
    steps: [{ run: 'echo "docs/install.md: 404 https://acme.example/install"; exit 1' }]
  build:
    needs: [lint, unit]
    runs-on: [self-hosted, large]
    steps: [{ run: '${playUntil(curtain)}' }]
  integration:
    needs: [lint, unit]
    runs-on: [self-hosted, linux]
    strategy: { matrix: { database: [postgres-16, postgres-17, mysql-8], node: [22, 24] } }
    steps: [{ run: '${playUntil(curtain)}' }]
`;

/** Runs until the file exists; at most ten minutes. */
const playUntil = (curtain: string): string => `timeout 600 sh -c "until [ -e ${curtain} ]; do sleep 0.2; done"`;

/** The moment that the pictures show: the jobs of one push, of which some run and some have completed. */
export interface Scene {
  cluster: Cluster;
  /** The runner whose job `build` is running. */
  running: string;
  /** The removed runner of the unit tests. */
  finished: string;
  /** Ends all jobs, waits until every runner is removed, and stops everything. */
  end(): Promise<void>;
}

/** Starts everything, pushes a workflow, and resolves at the moment for the pictures. */
export async function setScene(): Promise<Scene> {
  const cluster = await Cluster.start({ copies: 1, ui: true, installation: 'ci', backends: ['local'], config: CONFIG });
  const curtain = join(cluster.dir, CURTAIN);
  const end = async (): Promise<void> => {
    try {
      writeFileSync(curtain, '');
      await until(async () => listJobs(cluster).every(({ status }) => status === 'completed'), {
        what: 'all jobs end',
      });
      // Otherwise this dispatcher would replace its idle runner.
      await cluster.client.workflow.getHandle(dispatcherWorkflowId('release')).terminate('the pictures are taken');
      for (const id of await cluster.runners('Running')) await cluster.client.workflow.getHandle(id).cancel();
      await until(async () => (await cluster.runners('Running')).length === 0, { what: 'all runners end' });
    } finally {
      await cluster.stop();
    }
  };
  try {
    const [repository] = cluster.sim.sim.state.repositories.values();
    if (repository === undefined) throw new Error('the simulator has no repository');
    push(cluster.sim.sim, repository, { workflow: workflow(curtain) });
    const group = (name: string): Promise<DispatcherSnapshot> => cluster.dispatcher(name);
    await until(
      async () => {
        const [linux, large, release] = await Promise.all([group('linux'), group('large'), group('release')]);
        return linux.busy === 4 && linux.waiting === 2 && large.busy === 1 && release.ready === 1;
      },
      { what: 'the build and four of the matrix run, two wait, one runner is warm' },
    );
    // Lists in the UI come from Temporal's visibility, which lags a little.
    await until(
      async () => {
        const counts = await Promise.all(['busy', 'gone', 'idle'].map((phase) => countInPhase(cluster, phase)));
        return counts.join() === '5,3,1';
      },
      { what: 'everything shows in lists' },
    );
    const findRunnerName = (key: string): string => {
      const name = listJobs(cluster).find((job) => job.spec.key === key)?.runner?.name;
      if (name === undefined) throw new Error(`job ${key} never had a runner`);
      return name;
    };
    const [running, finished] = [findRunnerName('build'), findRunnerName('unit')];
    const handle = cluster.client.workflow.getHandle(runnerWorkflowId('large', running));
    await until(
      async () => {
        const { currentDetails } = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
        return currentDetails?.includes('hook: ') ?? false;
      },
      { what: 'the signal of the build’s hook' },
    );
    return { cluster, running, finished, end };
  } catch (error) {
    await end().catch(() => undefined);
    throw error;
  }
}

async function countInPhase(cluster: Cluster, phase: string): Promise<number> {
  const query = `WorkflowType = 'runner' AND BatonPhase = '${phase}'`;
  return (await cluster.client.workflow.count(query)).count;
}

function listJobs(cluster: Cluster): Job[] {
  return [...cluster.sim.sim.state.jobs.values()];
}

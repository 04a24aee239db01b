import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { delegationWorkflowId } from '../../../contracts/workflows/delegation.ts';
import type { DelegationWorld } from './world.ts';
import { until } from '../../support/until.ts';

const metadata = z.looseObject({ currentDetails: z.string() });

/** What a person reads of delegations in Temporal's UI, and nothing else. */
export class DelegationView {
  readonly #world: DelegationWorld;

  constructor(world: DelegationWorld) {
    this.#world = world;
  }

  handle(id: string) {
    return this.#world.cluster.client.workflow.getHandle(delegationWorkflowId(id));
  }

  /** Its current details, markdown; its links and escapes taken out. */
  async details(id: string): Promise<string> {
    await until(() => this.handle(id).describe());
    const { currentDetails } = metadata.parse(await this.handle(id).query('__temporal_workflow_metadata'));
    return currentDetails.replaceAll(/\\(?=[|\\`*_~[\]<>&$])/g, '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
  }

  /** What it says of itself now: the first line of its details. */
  async headline(id: string): Promise<string> {
    return (await this.details(id)).split('\n')[0] ?? '';
  }

  /** Its result. The answer to a proxy is there before the relay has started the workflow. */
  async result(id: string): Promise<unknown> {
    await until(() => this.handle(id).describe());
    return await this.handle(id).result();
  }

  /** The words with which it failed. */
  async failure(id: string): Promise<string> {
    try {
      await this.result(id);
    } catch (error) {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      if (cause instanceof ApplicationFailure && cause.type === 'DELEGATION_LOST') return cause.message;
      throw error;
    }
    throw new Error(`delegation ${id} did not fail`);
  }
}

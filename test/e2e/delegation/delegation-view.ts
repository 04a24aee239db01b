import { WorkflowFailedError, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { delegationWorkflowId } from '../../../contracts/workflows/delegation.ts';
import type { DelegationWorld } from './world.ts';
import { until } from '../../support/until.ts';

const metadata = z.looseObject({ currentDetails: z.string() });

/** A workflow's current details, markdown, without links and escapes. */
export async function readDetails(client: Client, workflowId: string): Promise<string> {
  const { currentDetails } = metadata.parse(
    await client.workflow.getHandle(workflowId).query('__temporal_workflow_metadata'),
  );
  return currentDetails.replaceAll(/\\(?=[|\\`*_~[\]<>&$])/g, '').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}

/** Reads of delegations only what Temporal's UI shows. */
export class DelegationView {
  readonly #world: DelegationWorld;

  constructor(world: DelegationWorld) {
    this.#world = world;
  }

  handle(id: string) {
    return this.#world.cluster.client.workflow.getHandle(delegationWorkflowId(id));
  }

  /** Its current details, markdown, without links and escapes. */
  async details(id: string): Promise<string> {
    await until(() => this.handle(id).describe());
    return await readDetails(this.#world.cluster.client, delegationWorkflowId(id));
  }

  /** Its present state: the first line of its details. */
  async headline(id: string): Promise<string> {
    return (await this.details(id)).split('\n')[0] ?? '';
  }

  /** Its result. Waits for the workflow first: the proxy gets its answer before the relay has started it. */
  async result(id: string): Promise<unknown> {
    await until(() => this.handle(id).describe());
    return await this.handle(id).result();
  }

  /** The message of its failure. */
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

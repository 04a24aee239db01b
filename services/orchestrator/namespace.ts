import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { SEARCH_ATTRIBUTES, WORKFLOW } from '../../contracts/actors.ts';
import type { Config } from '../../contracts/config/config.ts';
import { groupSettings } from '../../contracts/config/settings.ts';
import { dispatcherStart } from '../dispatcher-start.ts';

const { INDEXED_VALUE_TYPE_KEYWORD } = proto.temporal.api.enums.v1.IndexedValueType;

/** Makes the search attributes that are not there yet. Safe to run from several orchestrators at once. */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const { operatorService } = connection;
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = SEARCH_ATTRIBUTES.filter((name) => !(name in customAttributes));
  if (missing.length === 0) return;
  await operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD])),
  });
}

/** Tells every group's dispatcher its settings, starting those that don't run yet. */
export async function configureGroups(client: Client, config: Config): Promise<void> {
  await Promise.all(
    config.groups.map(async (group) => {
      const settings = groupSettings(config, group);
      const start = dispatcherStart(config, group, [{ type: 'configure', settings }]);
      await client.workflow.signalWithStart(WORKFLOW.dispatcher, start);
    }),
  );
}

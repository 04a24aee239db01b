import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { SEARCH_ATTRIBUTES } from '../../../contracts/workflows/search-attributes.ts';

const { INDEXED_VALUE_TYPE_INT, INDEXED_VALUE_TYPE_KEYWORD } = proto.temporal.api.enums.v1.IndexedValueType;
const TYPES = { INT: INDEXED_VALUE_TYPE_INT, KEYWORD: INDEXED_VALUE_TYPE_KEYWORD };

/** Creates the search attributes that the namespace lacks. Safe to run from several orchestrators at once. */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const { operatorService } = connection;
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = Object.values(SEARCH_ATTRIBUTES).filter(({ name }) => !(name in customAttributes));
  if (missing.length === 0) return;
  await operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, TYPES[type]])),
  });
}

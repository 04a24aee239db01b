import { readFile, rm } from 'node:fs/promises';
import { bootstrapFile, type BootstrapFile } from '../../contracts/messages/bootstrap-file.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { nameWrongFields } from '../../contracts/lib/schema-errors.ts';

/**
 * Reads the bootstrap file and removes it at once, so that nothing that runs later in this instance finds the
 * credential on disk.
 *
 * @throws BatonError CONFIG_UNREADABLE (no file, not removable), CONFIG_INVALID (not the documented shape)
 */
export async function takeBootstrap(file: string): Promise<BootstrapFile> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
    await rm(file);
  } catch (error) {
    throw new BatonError(
      'CONFIG_UNREADABLE',
      `reading and removing bootstrap file ${file}: ${getErrorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
  // Errors name wrong fields, but not their values: the file holds a secret, and a parser's message may quote it.
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new BatonError('CONFIG_INVALID', `reading bootstrap file ${file}: not JSON`);
  }
  const parsed = bootstrapFile.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new BatonError(
    'CONFIG_INVALID',
    `reading bootstrap file ${file}: wrong or missing: ${nameWrongFields(parsed.error)}`,
  );
}

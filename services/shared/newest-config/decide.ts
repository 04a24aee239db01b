import { z } from 'zod';

/** What the processes of an installation know of their newest configuration: one value in a bucket. */
export const configRecord = z.object({
  /** Of `content`: equal hashes mean equal contents. */
  hash: z.string(),
  /** The key `version` of the configuration; null where it has none. */
  version: z.number().nullable(),
  content: z.record(z.string(), z.unknown()),
  /** Hashes of earlier contents, newest first. */
  superseded: z.array(z.string()),
  /** Machines and paths of files that have had this content: such a file with another content was changed since. */
  files: z.array(z.string()),
});
export type ConfigRecord = z.infer<typeof configRecord>;

/** A configuration file, apart from the keys that concern one process only. */
export interface FileContent extends Pick<ConfigRecord, 'hash' | 'version' | 'content'> {
  /** The file's machine and path. */
  file: string;
}

/** Older contents than these are taken for new ones. */
const MAX_SUPERSEDED = 200;
/** A file beyond these waits, when it is changed back, as long as one that never had the newest content. */
const MAX_FILES = 100;

/** Why an older content may become the newest again. */
export interface Reasons {
  /** Somebody applied just this file. */
  applied: boolean;
  /** The file has this content now, and had the newest one before. */
  changedBack: boolean;
  /** No process has had the newest content for a while. */
  abandoned: boolean;
}

/**
 * Whether this file's content takes the place of the newest one. A content that was superseded before is older, and so is one with a
 * lower version; any other content is newer.
 *
 * @returns the record afterwards: the same object where nothing changes
 */
export function decideNewest(record: ConfigRecord | undefined, own: FileContent, reasons: Reasons): ConfigRecord {
  const { hash, version, content, file } = own;
  if (record === undefined) return { hash, version, content, superseded: [], files: [file] };
  if (record.hash === hash) {
    if (record.files.includes(file) || record.files.length >= MAX_FILES) return record;
    return { ...record, files: [...record.files, file] };
  }
  if (!supersedes(record, own, reasons)) return record;
  const earlier = [record.hash, ...record.superseded.filter((other) => other !== hash && other !== record.hash)];
  return { hash, version, content, superseded: earlier.slice(0, MAX_SUPERSEDED), files: [file] };
}

function supersedes(record: ConfigRecord, own: FileContent, reasons: Reasons): boolean {
  if (reasons.applied) return true;
  if (record.version !== null && own.version !== null && own.version < record.version) return false;
  return !record.superseded.includes(own.hash) || reasons.changedBack || reasons.abandoned;
}

import { createHash } from 'node:crypto';

/**
 * The `requestId` for a runner's instance in a zone. It is always the same, so that Compute Engine answers a repeated
 * request with the result of the first one.
 *
 * @param attempt the number of failed requests before: Compute Engine would repeat their failure for an hour
 * @returns a UUID (RFC 9562, version 8)
 */
export function toRequestId(project: string, zone: string, runner: string, attempt: number): string {
  const hash = createHash('sha256').update(['baton', project, zone, runner, attempt].join('\0')).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x80, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fromSeed, type KeyPair } from '@nats-io/jwt';

/** The key in `file`; without that file a new key, which is written to it. */
export function loadKeyPair(file: string, create: () => KeyPair): KeyPair {
  if (existsSync(file)) return fromSeed(new TextEncoder().encode(readFileSync(file, 'utf8').trim()));
  const key = create();
  writeSecret(file, key.getSeed());
  return key;
}

/** Replaces the file in one step, so that no process reads half of it; only this user may read it. */
export function writeSecret(file: string, content: string | Uint8Array): void {
  const next = `${file}.${process.pid}`;
  writeFileSync(next, content, { mode: 0o600 });
  renameSync(next, file);
}

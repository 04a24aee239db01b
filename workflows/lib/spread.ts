/**
 * A fraction from 0 up to 1 that differs from name to name and is always the same for one: what many runners do after the same time
 * does not fall into the same second.
 */
export function toSpread(name: string): number {
  let hash = 0x811c9dc5;
  // FNV-1a.
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  return (hash >>> 0) / 2 ** 32;
}

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findImages, pinImages } from './pin.ts';

/**
 * `npm run pin-images`: writes the present digest of each image beside its tag. Needs Docker and its registries; run it for a release,
 * and again to take newer images.
 */
const FILES = ['baton/Dockerfile', 'proxy-runner/Dockerfile', '../docker-compose.yml'];
const DIGEST = /^sha256:[\da-f]{64}$/;

function findDigest(image: string): string {
  const args = ['buildx', 'imagetools', 'inspect', image, '--format', '{{.Manifest.Digest}}'];
  const digest = execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  if (!DIGEST.test(digest)) throw new Error(`docker answered with no digest of ${image}: ${digest.slice(0, 100)}`);
  return digest;
}

const files = FILES.map((file) => fileURLToPath(new URL(file, import.meta.url)));
const texts = new Map(files.map((file) => [file, readFileSync(file, 'utf8')]));
const images = new Set([...texts.values()].flatMap(findImages));
// All or none: where one cannot be found out, no file changes.
const digests = new Map([...images].map((image) => [image, findDigest(image)]));
for (const [file, text] of texts) writeFileSync(file, pinImages(text, digests));
for (const [image, digest] of digests) console.log(`${image}@${digest}`);

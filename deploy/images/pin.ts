/**
 * The images of others in Dockerfiles and compose files, by tag or by digest. A tag can be moved to another image, a digest cannot.
 * Pure: `npm run pin-images` asks the registry.
 */

/** In `ARG X_IMAGE=REF`, `image: REF` and `${X_IMAGE:-REF}`. Baton's own images are built, not pulled. */
const REFERENCE =
  /(?<before>ARG \w*IMAGE=|image: |\$\{\w*IMAGE:-)(?<image>(?!baton)[a-z0-9][a-z0-9./-]*:[\w.-]+)(?<digest>@sha256:[\da-f]{64})?/g;

/** The images that a file names, without their digests, each once. */
export function findImages(text: string): string[] {
  const images = [...text.matchAll(REFERENCE)].map(({ groups }) => groups?.['image'] ?? '');
  return [...new Set(images)];
}

/** The file with each of these images by its digest (`sha256:…`); others stay as they are. */
export function pinImages(text: string, digests: ReadonlyMap<string, string>): string {
  return text.replaceAll(REFERENCE, (whole, before: string, image: string) => {
    const digest = digests.get(image);
    return digest === undefined ? whole : `${before}${image}@${digest}`;
  });
}

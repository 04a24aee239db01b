import { z } from 'zod';
import { formatBytes } from '../../../contracts/format.ts';

const pullEvent = z.object({
  /** The layer. Events without one concern the whole image. */
  id: z.string(),
  status: z.string(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
});

const COMPLETE = new Set(['Pull complete', 'Already exists']);
const DOWNLOADED = new Set([...COMPLETE, 'Verifying Checksum', 'Download complete', 'Extracting']);

interface Layer {
  isDownloaded: boolean;
  isComplete: boolean;
  /** Bytes that were downloaded, and those of the whole layer, once the engine has said so. */
  current: number;
  total: number;
}

/** What an engine's events say about how far a pull is. */
export class PullProgress {
  readonly #layers = new Map<string, Layer>();

  /** @param event as the engine sent it; one that has another shape is ignored */
  apply(event: unknown): void {
    const parsed = pullEvent.safeParse(event);
    if (!parsed.success || parsed.data.status.startsWith('Pulling from')) return;
    const { id, status, progressDetail } = parsed.data;
    const layer = this.#layers.get(id) ?? { isDownloaded: false, isComplete: false, current: 0, total: 0 };
    this.#layers.set(id, layer);
    if (status === 'Downloading') {
      layer.current = progressDetail?.current ?? layer.current;
      layer.total = progressDetail?.total ?? layer.total;
    }
    layer.isDownloaded ||= DOWNLOADED.has(status);
    layer.isComplete ||= COMPLETE.has(status);
    if (layer.isDownloaded) layer.current = layer.total;
  }

  /** `2 of 7 layers, 34.0 MiB of 120 MiB`: the bytes are of those layers whose size is known. */
  toString(): string {
    const layers = [...this.#layers.values()];
    if (layers.length === 0) return 'no layer yet';
    const complete = layers.filter(({ isComplete }) => isComplete).length;
    const current = layers.reduce((sum, layer) => sum + layer.current, 0);
    const total = layers.reduce((sum, layer) => sum + layer.total, 0);
    const bytes = total === 0 ? '' : `, ${formatBytes(current)} of ${formatBytes(total)}`;
    return `${complete} of ${layers.length} layers${bytes}`;
  }
}

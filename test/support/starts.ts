import { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import Docker from 'dockerode';
import { z } from 'zod';

const start = z.object({ Actor: z.object({ Attributes: z.object({ name: z.string() }) }) });

/** Counts, from now on, how often the engine starts each container of an installation. */
export async function watchStarts(installation: string): Promise<{ counts: Map<string, number>; stop: () => void }> {
  const counts = new Map<string, number>();
  const label = [`baton.installation=${installation}`];
  const events = await new Docker().getEvents({ filters: { type: ['container'], event: ['start'], label } });
  const lines = createInterface({ input: events });
  lines.on('line', (line) => {
    const { name } = start.parse(JSON.parse(line)).Actor.Attributes;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  return { counts, stop: () => void (events instanceof Readable && events.destroy()) };
}

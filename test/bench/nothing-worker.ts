import { runBenchWorker } from './bench-worker.ts';
import { NothingBackend } from './nothing-backend.ts';

await runBenchWorker(([lifeMs]) => new NothingBackend(lifeMs === undefined ? undefined : Number(lifeMs)));

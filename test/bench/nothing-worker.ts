import { runBenchWorker } from './bench-worker.ts';
import { NothingBackend } from './nothing-backend.ts';

await runBenchWorker(() => new NothingBackend());

import { AgentsBackend } from './agents-backend.ts';
import { runBenchWorker } from './bench-worker.ts';

await runBenchWorker(([bootMs, jobMs], log) => {
  return new AgentsBackend({ bootMs: Number(bootMs), jobMs: Number(jobMs), log });
});

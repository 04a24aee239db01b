/** What the orchestrator's worker runs: one export a workflow type (contracts/workflows/actors.ts, WORKFLOW). */
export { delegation } from './delegation/delegation.ts';
export { proxies } from './delegation/proxies.ts';
export { dispatcher } from './dispatcher/dispatcher.ts';
export { healthCheck } from './health/health-check.ts';
export { capacity } from './capacity/capacity.ts';
export { runner } from './runner/runner.ts';

/** The workflows of the orchestrator's worker: one export per workflow type. */
export { delegation } from './delegation/delegation.ts';
export { proxies } from './delegation/proxies.ts';
export { dispatcher } from './dispatcher/dispatcher.ts';
export { healthCheck } from './health/health-check.ts';
export { capacity } from './capacity/capacity.ts';
export { runner } from './runner/runner.ts';

import { Counter, Gauge, type Registry } from 'prom-client';
import { readProxyState } from '../../contracts/lib/proxy-state.ts';
import type { ProxyRunner } from './proxy-runner.ts';

/** Registers a proxy's metrics: its own, and those in its hooks' shared state. They are read at each scrape. */
export function registerProxyMetrics(registry: Registry, proxy: ProxyRunner, stateFile: string): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number): void => {
    const metric: Gauge = new Gauge({ name, help, registers, collect: () => metric.set(value()) });
  };
  const counter = (name: string, help: string, value: () => number): void => {
    const metric: Counter = new Counter({
      name,
      help,
      registers,
      collect: () => {
        metric.reset();
        metric.inc(value());
      },
    });
  };
  gauge(
    'baton_proxy_uptime_seconds',
    'Time since the forge’s runner was last started; 0 if it is not running',
    () => proxy.uptimeS,
  );
  gauge('baton_proxy_busy', 'Whether the proxy has a job', () => Number(proxy.busy));
  counter('baton_proxy_restarts_total', 'Starts of the forge’s runner after a crash', () => proxy.restarts);
  const hooks: Counter = new Counter({
    name: 'baton_proxy_hooks_total',
    help: 'Job-started hooks by result; held-back ones, which sent no request, count as failed too',
    labelNames: ['result'],
    registers,
    collect: () => {
      const { handedOver, failed, heldBack } = readProxyState(stateFile);
      hooks.reset();
      hooks.inc({ result: 'handed-over' }, handedOver);
      hooks.inc({ result: 'failed' }, failed);
      hooks.inc({ result: 'held-back' }, heldBack);
    },
  });
  counter(
    'baton_proxy_connection_failures_total',
    'Requests of hooks without an answer',
    () => readProxyState(stateFile).connectionFailures,
  );
  gauge('baton_proxy_breaker_open', 'Whether the hooks’ circuit breaker is open', () =>
    Number(readProxyState(stateFile).open),
  );
}

import { Counter, Gauge, type Registry } from 'prom-client';
import type { HandOverBreaker } from './breaker.ts';
import type { HandOver } from './hand-over.ts';
import type { ProxyRunner } from './proxy-runner.ts';
import type { TokenSource } from './token-source.ts';

export interface MeteredProxy {
  proxy: ProxyRunner;
  handOver: HandOver;
  breaker: HandOverBreaker;
  tokens: TokenSource;
}

/** Registers a proxy's metrics. They are read at each scrape. */
export function registerProxyMetrics(registry: Registry, { proxy, handOver, breaker, tokens }: MeteredProxy): void {
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
      const { handedOver, failed, heldBack } = breaker.counts;
      hooks.reset();
      hooks.inc({ result: 'handed-over' }, handedOver);
      hooks.inc({ result: 'failed' }, failed);
      hooks.inc({ result: 'held-back' }, heldBack);
    },
  });
  counter(
    'baton_proxy_connection_failures_total',
    'Requests of the proxy without an answer',
    () => breaker.counts.connectionFailures,
  );
  gauge('baton_proxy_breaker_open', 'Whether the circuit breaker of hand-overs is open', () => Number(breaker.open));
  gauge(
    'baton_proxy_credential_expiry_timestamp_seconds',
    'When the proxy’s credential expires, or its token if it has none',
    () => tokens.expiry(),
  );
  const refusals: Counter = new Counter({
    name: 'baton_proxy_refusals_total',
    help: 'Requests on the proxy’s socket that were not served: without a job, a second one of a job, malformed',
    labelNames: ['reason'],
    registers,
    collect: () => {
      refusals.reset();
      for (const [reason, count] of Object.entries(handOver.refusals)) refusals.inc({ reason }, count);
    },
  });
  counter(
    'baton_proxy_leftovers_total',
    'Processes that were killed because they outlived the forge’s runner',
    () => proxy.leftovers,
  );
}

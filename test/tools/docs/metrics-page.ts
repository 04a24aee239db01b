import { code, generatedFrom, markdownTable } from './markdown.ts';
import { readMetrics } from './metrics-source.ts';

/** The heading of a folder that is no service by itself. */
const HEADINGS: Record<string, string> = { shared: 'backend and orchestrator' };

/** The page of all metrics, from the sources of the services. */
export function metricsPage(): string {
  const metrics = readMetrics();
  const services = [...new Set(metrics.map(({ service }) => service))];
  return `# Metrics

${generatedFrom('the services’ sources')}

Every service answers \`GET /metrics\` in Prometheus’ text format, on its admin port, like \`/healthz\` and \`/readyz\`. Besides the
metrics below, each has prom-client’s default metrics of the process (\`process_…\`, \`nodejs_…\`). A histogram has the series
\`…_bucket\`, \`…_sum\` and \`…_count\`. Run several copies of a service? Sum counters over them. [Operate](../guides/operate.md#alerts)
lists the metrics to alert on.

${services
  .map((service) => {
    const rows = metrics
      .filter((metric) => metric.service === service)
      .map(({ name, type, labels, help }) => [code(name), type, labels.map(code).join(' ') || '–', help]);
    return `## ${HEADINGS[service] ?? service}\n\n${markdownTable(['Metric', 'Type', 'Labels', 'Meaning'], rows)}`;
  })
  .join('\n\n')}
`;
}

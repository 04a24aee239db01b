/** The image's health check: whether the service in this container is ready. The address may be given as an argument. */
const [url = 'http://127.0.0.1:8081/readyz'] = process.argv.slice(2);
const ok = await fetch(url, { signal: AbortSignal.timeout(4000) }).then(
  (response) => response.ok,
  () => false,
);
process.exit(ok ? 0 : 1);

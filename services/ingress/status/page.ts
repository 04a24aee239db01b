import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface StatusPage {
  html: string;
  /** `Content-Security-Policy`: permits only this style, this script and this server's events. */
  policy: string;
}

/** Builds the status page from the files beside this one, as one document that loads nothing else. */
export function buildStatusPage(): StatusPage {
  const [frame, style, receiver, renderer] = ['page.html', 'page.css', 'events.js', 'page.js'].map((name) =>
    readFileSync(new URL(name, import.meta.url), 'utf8'),
  );
  if (frame === undefined || style === undefined) throw new Error('unreachable');
  const script = `${receiver}${renderer}`;
  const html = frame
    .replace('<link rel="stylesheet" href="page.css" />', () => `<style>${style}</style>`)
    .replace('<script src="page.js" defer></script>', '')
    .replace('</body>', () => `<script>${script}</script></body>`);
  const policy = [
    "default-src 'none'",
    `style-src '${hash(style)}'`,
    `script-src '${hash(script)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ].join('; ');
  return { html, policy };
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

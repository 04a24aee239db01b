import { createHash } from 'node:crypto';

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 90vh; margin: 0; }
form { display: grid; gap: 12px; width: 18rem; }
h1 { margin: 0; font-size: 1.35rem; }
input, button { font: inherit; padding: 8px 10px; }
p { margin: 0; color: light-dark(#b3261e, #ff8a80); }
`;

export const LOGIN_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/** @param problem one of our own sentences, never a text that somebody sent */
export function buildLoginPage(problem = ''): string {
  const message = problem === '' ? '' : `<p role="alert">${problem}</p>`;
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Baton: sign in</title>
    <style>${STYLE}</style>
  </head>
  <body>
    <form method="post" action="/login">
      <h1>Baton</h1>
      ${message}
      <label for="password">Password of the status page</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required autofocus />
      <button>Sign in</button>
    </form>
  </body>
</html>
`;
}

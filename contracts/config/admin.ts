import { z } from 'zod';
import { secretRef } from './secret.ts';

/** Who may see the pages at the admin port. */
export const adminConfig = z.strictObject({
  password_hash: secretRef
    .optional()
    .describe(
      'Hash of the status page’s password, as `baton setup password` prints it. Used by the ingress. Default: no login; keep `--admin-host` a loopback address then.',
    ),
  metrics_token: secretRef
    .optional()
    .describe('Bearer token that `/metrics` asks for. Used by all services. Default: none.'),
  hosts: z
    .array(z.string().regex(/^[a-z0-9.-]+$/, 'expected a host name in lower case, without port'))
    .default([])
    .describe(
      'Names under which a browser may open the admin port on a loopback address, besides `localhost`: those of your reverse proxy.',
    ),
});

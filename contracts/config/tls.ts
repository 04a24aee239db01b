import { z } from 'zod';

const path = z.string().min(1);
const files = {
  ca: path
    .optional()
    .describe('PEM file of the authority that signed the server’s certificate. Default: the system’s.'),
  cert: path.optional().describe('PEM file of this client’s certificate, if the server requires one. Needs `key`.'),
  key: path.optional().describe('PEM file of the private key of `cert`.'),
};

const WHOLE = 'give both cert and key, or neither';
const DESCRIPTION = '`true` trusts the system’s authorities; an object names files.';

/** TLS of the connection to NATS. Paths are relative to the process's working directory. */
export const natsTls = z
  .union(
    [
      z.boolean(),
      z.strictObject(files).refine((tls) => (tls.cert === undefined) === (tls.key === undefined), { message: WHOLE }),
    ],
    'expected true, false, or a mapping of ca, cert and key',
  )
  .default(false)
  .describe(DESCRIPTION);

/** TLS of the connection to Temporal. Paths are relative to the process's working directory. */
export const temporalTls = z
  .union(
    [
      z.boolean(),
      z
        .strictObject({
          ...files,
          server_name: path.optional().describe('Name in the server’s certificate, if it is not that of the address.'),
        })
        .refine((tls) => (tls.cert === undefined) === (tls.key === undefined), { message: WHOLE }),
    ],
    'expected true, false, or a mapping of ca, cert, key and server_name',
  )
  .default(false)
  .describe(DESCRIPTION);

export type NatsTls = z.infer<typeof natsTls>;
export type TemporalTls = z.infer<typeof temporalTls>;

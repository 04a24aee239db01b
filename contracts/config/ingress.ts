import { z } from 'zod';

const addressOrNetwork = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()]);
const network = z
  .string()
  .refine((text) => addressOrNetwork.safeParse(text).success, 'expected an address, or a network such as 10.0.0.0/8')
  .describe('An address, or a network such as 10.0.0.0/8.');

/** What stands between the ingress and the internet. */
export const ingressConfig = z.strictObject({
  trusted_proxies: z
    .array(network)
    .default([])
    .describe(
      'Addresses and networks (`10.0.0.0/8`) of your reverse proxies. From these, and from no other, the ingress takes the caller’s address from `X-Forwarded-For`, so that limits hold per caller.',
    ),
});

export type IngressConfig = z.infer<typeof ingressConfig>;

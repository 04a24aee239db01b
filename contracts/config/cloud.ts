import { z } from 'zod';
import { backendCommon } from './backend-common.ts';

const httpUrl = z.url({ protocol: /^https?$/ }).transform((text) => text.replace(/\/+$/, ''));

/** The settings that every cloud backend needs to set up a bare machine; spread them into its schema. */
export const cloudCommon = {
  ...backendCommon,
  ingress_url: httpUrl.describe('Address of an ingress for instances; they fetch the agent there.'),
  runner_release: z
    .strictObject({
      url: httpUrl.describe('Address of the `.tar.gz` that the forge publishes.'),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/, 'expected the archive’s SHA-256, 64 lower-case hex digits')
        .describe('SHA-256 of the archive, in hex.'),
    })
    .optional()
    .describe('Runner to install if the image has none in `runner.directory`.'),
  block_metadata: z
    .boolean()
    .default(true)
    .describe(
      'Keeps everyone but root from the metadata service, which has the instance’s credential and service account. A machine that cannot runs no job.',
    ),
};

/** The settings of a cloud backend that the bootstrap of its machines uses. */
export interface CloudBootstrap {
  ingress_url: string;
  runner_release?: { url: string; sha256: string } | undefined;
  block_metadata: boolean;
}

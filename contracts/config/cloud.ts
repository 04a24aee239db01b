import { z } from 'zod';
import { backendCommon } from './backend-common.ts';

const httpUrl = z.url({ protocol: /^https?$/ }).transform((text) => text.replace(/\/+$/, ''));

/** What every backend of a cloud needs to bring a bare machine up; spread it into its own schema. */
export const cloudCommon = {
  ...backendCommon,
  ingress_url: httpUrl.describe('Where instances fetch the agent: an ingress, as they reach it.'),
  runner_release: z
    .strictObject({
      url: httpUrl.describe('A .tar.gz as the forge publishes it.'),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/, 'expected the archive’s SHA-256, 64 lower-case hex digits')
        .describe('Of the archive, hex: nothing else is unpacked.'),
    })
    .optional()
    .describe('Installed where the image has no runner in the group’s `runner.directory`.'),
  block_metadata: z
    .boolean()
    .default(true)
    .describe('Keeps jobs from the metadata service, where the instance’s credential and its service account are.'),
};

/** The settings of a cloud's backend that its machines' bootstrap goes by. */
export interface CloudBootstrap {
  ingress_url: string;
  runner_release?: { url: string; sha256: string } | undefined;
  block_metadata: boolean;
}

import { z } from 'zod';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

/** The last part of a resource's URL: its name. */
const toName = (url: string): string => url.slice(url.lastIndexOf('/') + 1);

/** An instance in Compute Engine's answers: the fields that Baton reads. */
export const gceInstance = z.object({
  id: z.union([z.string(), z.number()]).transform(String),
  name: z.string().min(1),
  status: z.string().min(1),
  statusMessage: text,
  zone: z.string().min(1).transform(toName),
  machineType: text.transform(toName),
  creationTimestamp: z.string().min(1),
  labels: z
    .record(z.string(), z.string())
    .nullish()
    .transform((labels) => labels ?? {}),
  /** A version of the labels: a change of labels names the version it is based on. */
  labelFingerprint: text,
  scheduling: z
    .object({ provisioningModel: text })
    .nullish()
    .transform((scheduling) => scheduling ?? { provisioningModel: '' }),
});

export type GceInstance = z.infer<typeof gceInstance>;

/** An operation of a zone. */
export const gceOperation = z.object({
  name: z.string().min(1),
  operationType: text,
  status: z.string().min(1),
  /** The name and the id of the resource that it changes. */
  targetLink: text.transform(toName),
  targetId: z
    .union([z.string(), z.number()])
    .nullish()
    .transform((id) => String(id ?? '')),
  insertTime: text,
  endTime: text,
  error: z
    .object({ errors: z.array(z.object({ code: text, message: text })).nullish() })
    .nullish()
    .transform((error) => error?.errors ?? []),
});

export type GceOperation = z.infer<typeof gceOperation>;

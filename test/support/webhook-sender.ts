import { randomUUID } from 'node:crypto';
import { Webhooks } from '@octokit/webhooks';
import { z } from 'zod';

const answer = z.looseObject({
  code: z.string().optional(),
  message: z.string().optional(),
  help: z.string().optional(),
  duplicate: z.boolean().optional(),
  details: z.looseObject({ fields: z.array(z.object({ path: z.string() })).optional() }).optional(),
});

export interface WebhookResponse {
  status: number;
  headers: Headers;
  body: z.infer<typeof answer>;
}

export interface SendOptions {
  event?: string;
  delivery?: string;
  secret?: string;
  /** Headers to set or, with null, to leave out. */
  headers?: Record<string, string | null>;
}

/** Sends a webhook like a forge: signed and with the usual headers. */
export async function sendWebhook(
  address: string,
  body: string | Buffer,
  options: SendOptions = {},
): Promise<WebhookResponse> {
  const secret = options.secret ?? 'first secret';
  const signature = body.length > 0 ? await new Webhooks({ secret }).sign(body.toString()) : null;
  const headers: Record<string, string> = {};
  const given: Record<string, string | null> = {
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/044aadd',
    'x-github-event': options.event ?? 'workflow_job',
    'x-github-delivery': options.delivery ?? randomUUID(),
    'x-hub-signature-256': signature,
    ...options.headers,
  };
  for (const [name, value] of Object.entries(given)) if (value !== null) headers[name] = value;
  const response = await fetch(`${address}/webhooks/github`, {
    method: 'POST',
    headers,
    body: new Uint8Array(Buffer.from(body)),
  });
  return { status: response.status, headers: response.headers, body: answer.parse(await response.json()) };
}

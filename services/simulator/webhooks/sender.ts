import { createHmac, randomUUID } from 'node:crypto';
import type { EventLog } from '../event-log.ts';
import type { Random } from '../random.ts';
import type { Limits, Timing } from '../settings.ts';
import type { WebhookDelivery } from '../state.ts';
import { WebhookFaults } from './faults.ts';
import type { WebhookPoster } from './post.ts';

export interface SenderParts {
  log: EventLog;
  random: Random;
  timing: Timing;
  limits: Limits;
  deliveries: Map<number, WebhookDelivery>;
  nextDeliveryId: () => number;
  /** Value of `X-GitHub-Enterprise-Host`. */
  host: () => string;
  poster: WebhookPoster;
}

export type NewDelivery = Pick<
  WebhookDelivery,
  'hook' | 'event' | 'action' | 'payload' | 'installationId' | 'repositoryId' | 'jobId'
>;

/**
 * Sends signed webhooks, with at most `limits.webhookConcurrency` concurrently and `limits.webhooksPerSecond`, those of one job
 * in order unless a fault changes it. Never retries: a failed webhook stays in the list of deliveries.
 */
export class WebhookSender {
  readonly faults: WebhookFaults;
  readonly #parts: SenderParts;
  readonly #outbox: WebhookDelivery[] = [];
  readonly #held: WebhookDelivery[] = [];
  readonly #late = new Set<NodeJS.Timeout>();
  #overtaken: WebhookDelivery[] = [];
  readonly #inFlight = new Set<WebhookDelivery>();
  readonly #busyJobs = new Set<number>();
  #nextSlotAt = 0;
  #slotTimer: NodeJS.Timeout | null = null;
  #idleWaiters: (() => void)[] = [];
  #closed = false;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.faults = new WebhookFaults(parts.random);
  }

  /** Sends a webhook, unless a fault applies to it. */
  send(order: NewDelivery): void {
    const delivery = this.#make(order, randomUUID(), false);
    const fate = this.faults.decide(delivery);
    const fields = toLogFields(delivery);
    switch (fate.kind) {
      case 'lose':
        this.#parts.log.add('webhook.lost', fields);
        if (this.faults.rates.lossIsRecorded) {
          Object.assign(delivery, { status: 'timed out', statusCode: 504, duration: 10 });
          this.#parts.deliveries.set(delivery.id, delivery);
        }
        return;
      case 'hold':
        this.#parts.log.add('webhook.held', fields);
        this.#held.push(delivery);
        return;
      case 'delay':
        this.#sendLater(delivery, fate.ms);
        return;
      case 'reorder':
        this.#overtaken.push(delivery);
        // Where no other webhook follows, it is sent after this time.
        this.#sendLater(null, 1_000);
        return;
      case 'duplicate':
        this.#outbox.push(delivery, this.#make(order, delivery.guid, false));
        break;
      case 'send':
        this.#outbox.push(delivery);
    }
    this.#outbox.push(...this.#overtaken.splice(0));
    this.#pump();
  }

  /** Sends a delivery again, with the same GUID. Faults don't apply. */
  redeliver(delivery: WebhookDelivery): void {
    this.#outbox.push(this.#make(delivery, delivery.guid, true));
    this.#pump();
  }

  /** Sends the held webhooks, and holds no more. @returns their number */
  release(order: 'fifo' | 'reverse' | 'shuffled' = 'fifo'): number {
    this.faults.holds.length = 0;
    const held = this.#held.splice(0);
    const sorted =
      order === 'reverse' ? held.toReversed() : order === 'shuffled' ? this.#parts.random.shuffle(held) : held;
    this.#outbox.push(...sorted);
    this.#pump();
    return sorted.length;
  }

  get counts(): { waiting: number; held: number; inFlight: number } {
    const waiting = this.#outbox.length + this.#late.size + this.#overtaken.length;
    return { waiting, held: this.#held.length, inFlight: this.#inFlight.size };
  }

  /** Resolves when no webhook waits or is being sent; held ones don't count. */
  async idle(): Promise<void> {
    while (!this.#closed && this.counts.waiting + this.#inFlight.size > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
  }

  close(): void {
    this.#closed = true;
    this.#outbox.length = 0;
    if (this.#slotTimer) clearTimeout(this.#slotTimer);
    for (const timer of this.#late) clearTimeout(timer);
    this.#parts.poster.close();
    this.#wakeIdle();
  }

  #make(order: NewDelivery, guid: string, redelivery: boolean): WebhookDelivery {
    return {
      hook: order.hook,
      event: order.event,
      action: order.action,
      payload: order.payload,
      installationId: order.installationId,
      repositoryId: order.repositoryId,
      jobId: order.jobId,
      id: this.#parts.nextDeliveryId(),
      guid,
      redelivery,
      deliveredAt: Date.now(),
      duration: 0,
      status: 'pending',
      statusCode: 0,
      requestHeaders: {},
      responseHeaders: {},
      responseBody: null,
    };
  }

  #sendLater(delivery: WebhookDelivery | null, ms: number): void {
    const timer = setTimeout(() => {
      this.#late.delete(timer);
      this.#outbox.push(...(delivery ? [delivery] : this.#overtaken.splice(0)));
      this.#pump();
    }, ms);
    this.#late.add(timer);
  }

  #pump(): void {
    while (!this.#closed && this.#inFlight.size < this.#parts.limits.webhookConcurrency) {
      if (this.#slotTimer) return;
      const wait = this.#nextSlotAt - Date.now();
      if (this.#parts.limits.webhooksPerSecond > 0 && wait > 0) {
        this.#slotTimer = setTimeout(() => {
          this.#slotTimer = null;
          this.#pump();
        }, wait);
        return;
      }
      const index = this.#outbox.findIndex((item) => item.jobId === null || !this.#busyJobs.has(item.jobId));
      const [delivery] = index < 0 ? [] : this.#outbox.splice(index, 1);
      if (!delivery) break;
      if (this.#parts.limits.webhooksPerSecond > 0) {
        this.#nextSlotAt = Math.max(Date.now(), this.#nextSlotAt) + 1000 / this.#parts.limits.webhooksPerSecond;
      }
      this.#inFlight.add(delivery);
      if (delivery.jobId !== null) this.#busyJobs.add(delivery.jobId);
      void this.#deliver(delivery);
    }
    this.#wakeIdle();
  }

  async #deliver(delivery: WebhookDelivery): Promise<void> {
    const body = JSON.stringify(delivery.payload);
    delivery.deliveredAt = Date.now();
    delivery.requestHeaders = this.#headers(delivery, body);
    const result = await this.#parts.poster.post(
      delivery.hook.url,
      delivery.requestHeaders,
      body,
      this.#parts.timing.webhookTimeoutMs,
    );
    delivery.deliveredAt = result.sentAt;
    delivery.duration = Math.round(result.durationMs) / 1000;
    delivery.status = result.status;
    delivery.statusCode = result.statusCode;
    delivery.responseHeaders = result.headers;
    delivery.responseBody = result.body;
    this.#parts.deliveries.set(delivery.id, delivery);
    this.#inFlight.delete(delivery);
    if (delivery.jobId !== null) this.#busyJobs.delete(delivery.jobId);
    this.#parts.log.add('webhook.sent', {
      ...toLogFields(delivery),
      status: delivery.statusCode,
      reason: delivery.status,
    });
    this.#pump();
  }

  #headers(delivery: WebhookDelivery, body: string): Record<string, string> {
    const { hook } = delivery;
    const sign = (algorithm: string, secret: string): string =>
      createHmac(algorithm, secret).update(body).digest('hex');
    return {
      'content-type': 'application/json',
      accept: '*/*',
      'user-agent': 'GitHub-Hookshot/simulator',
      'x-github-event': delivery.event,
      'x-github-delivery': delivery.guid,
      'x-github-enterprise-host': this.#parts.host(),
      'x-github-hook-id': String(hook.id),
      'x-github-hook-installation-target-type': hook.kind === 'app' ? 'integration' : hook.kind,
      'x-github-hook-installation-target-id': String(delivery.repositoryId ?? hook.id),
      ...(hook.secret === null
        ? {}
        : {
            'x-hub-signature': `sha1=${sign('sha1', hook.secret)}`,
            'x-hub-signature-256': `sha256=${sign('sha256', hook.secret)}`,
          }),
    };
  }

  #wakeIdle(): void {
    if (!this.#closed && this.counts.waiting + this.#inFlight.size > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }
}

function toLogFields(delivery: WebhookDelivery): Record<string, unknown> {
  const { id, guid, event, action, jobId, redelivery, hook } = delivery;
  return { delivery: id, guid, event, action, jobId, redelivery, hook: hook.id };
}

import type { Answer, Call, Serve } from '../../../support/fault-proxy.ts';
import { isAction, MISMATCH, parametersOf, TERMINATED } from './answers.ts';

/**
 * What EC2 does with ClientToken and moto doesn't: a request of the same token and parameters is answered with what the first
 * one made; with other parameters it is refused, also where the first failed for want of capacity.
 * Source: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
 */
export class ClientTokens {
  readonly #known = new Map<string, { parameters: string; answer: Promise<Answer> | undefined }>();

  readonly serve: Serve = (call, forward) => {
    if (!isAction(call, 'RunInstances')) return undefined;
    const token = parametersOf(call).get('ClientToken');
    if (token === null) return undefined;
    const parameters = call.body.toString();
    const known = this.#known.get(token);
    if (known !== undefined && known.parameters !== parameters) return Promise.resolve(MISMATCH);
    if (known?.answer !== undefined) return this.#again(known.answer, forward);
    const answer = forward();
    this.#known.set(token, { parameters, answer });
    return answer;
  };

  /** A request that was refused for want of capacity: its token is spent all the same. */
  note(call: Call): void {
    const token = parametersOf(call).get('ClientToken');
    if (token !== null) this.#known.set(token, { parameters: call.body.toString(), answer: undefined });
  }

  async #again(first: Promise<Answer>, forward: (body?: string) => Promise<Answer>): Promise<Answer> {
    const answer = await first;
    const id = /<instanceId>([^<]+)/.exec(answer.body)?.[1] ?? '';
    const look = await forward(`Action=DescribeInstances&Version=2016-11-15&InstanceId.1=${id}`);
    return look.body.includes('<name>terminated</name>') ? TERMINATED : answer;
  }
}

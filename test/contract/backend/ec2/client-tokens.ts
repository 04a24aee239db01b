import type { Answer, Call, Serve } from '../../../support/fault-proxy.ts';
import { isAction, MISMATCH, parseParameters, TERMINATED } from './answers.ts';

/**
 * Adds EC2's treatment of ClientToken, which moto lacks: a request with the same token and parameters gets the answer
 * to the first one; with other parameters it is refused, even where the first failed for lack of capacity. Source:
 * https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
 */
export class ClientTokens {
  readonly #known = new Map<string, { parameters: string; answer: Promise<Answer> | undefined }>();

  readonly serve: Serve = (call, forward) => {
    if (!isAction(call, 'RunInstances')) return undefined;
    const token = parseParameters(call).get('ClientToken');
    if (token === null) return undefined;
    const parameters = call.body.toString();
    const known = this.#known.get(token);
    if (known !== undefined && known.parameters !== parameters) return Promise.resolve(MISMATCH);
    if (known?.answer !== undefined) return this.#again(known.answer, forward);
    const answer = forward();
    this.#known.set(token, { parameters, answer });
    return answer;
  };

  /** A request that was refused for lack of capacity: its token is used up nevertheless. */
  spend(call: Call): void {
    const token = parseParameters(call).get('ClientToken');
    if (token !== null) this.#known.set(token, { parameters: call.body.toString(), answer: undefined });
  }

  async #again(first: Promise<Answer>, forward: (body?: string) => Promise<Answer>): Promise<Answer> {
    const answer = await first;
    const id = /<instanceId>([^<]+)/.exec(answer.body)?.[1] ?? '';
    const look = await forward(`Action=DescribeInstances&Version=2016-11-15&InstanceId.1=${id}`);
    return look.body.includes('<name>terminated</name>') ? TERMINATED : answer;
  }
}

import { Webhooks } from '@octokit/webhooks';
import { describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { createSignatureCheck } from '../../../../services/ingress/signature.ts';

const log = createLogger('test', 'silent');
const BODY = '{"zen":"a"}';

describe('the check of a signature', () => {
  it.each(['sesame\n', ' sesame '])('reads the webhook secret %j without white space, and as it is', async (value) => {
    const check = createSignatureCheck([{ env: 'HOOK' }], log, { HOOK: value });
    expect(await check(BODY, await sign('sesame'))).toEqual({ valid: true });
    expect(await check(BODY, await sign(value))).toEqual({ valid: true });
  });

  it('says when the secret on the forge ends with a line break', async () => {
    const check = createSignatureCheck([{ env: 'HOOK' }], log, { HOOK: 'sesame' });
    expect(await check(BODY, await sign('sesame\n'))).toEqual({
      valid: false,
      reason: expect.stringContaining('on the forge ends with a line break'),
    });
  });

  it('says that another secret was used, or that the body was changed', async () => {
    const check = createSignatureCheck([{ env: 'HOOK' }], log, { HOOK: 'sesame' });
    for (const answer of [await check(BODY, await sign('mellon')), await check(`${BODY} `, await sign('sesame'))]) {
      expect(answer).toEqual({ valid: false, reason: expect.stringContaining('another secret, or a proxy changes') });
    }
  });

  it('skips a variable that is not set or empty, with a warning, while another one is set', () => {
    const warn = vi.spyOn(log, 'warn');
    createSignatureCheck([{ env: 'OLD' }, { env: 'BLANK' }, { env: 'HOOK' }], log, { HOOK: 'sesame', BLANK: '\n' });
    expect(warn.mock.calls.map(([fields]) => fields)).toEqual([{ variable: 'OLD' }, { variable: 'BLANK' }]);
    expect(() => createSignatureCheck([{ env: 'OLD' }], log, {})).toThrow('none of OLD is set');
  });
});

function sign(secret: string): Promise<string> {
  return new Webhooks({ secret }).sign(BODY);
}

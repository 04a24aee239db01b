import { DescribeSubnetsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { Ec2Backend } from '../../../../activities/backends/ec2/ec2.ts';
import { ec2Backend } from '../../../../contracts/config/ec2.ts';
import { createLogger } from '../../../../contracts/lib/log.ts';
import { startFaultProxy, type FaultProxy } from '../../../support/fault-proxy.ts';
import { startMoto } from '../../../support/moto.ts';
import { ClientTokens } from './client-tokens.ts';

export const REGION = 'us-east-1';

// The library finds the credentials in the environment.
Object.assign(process.env, {
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_EC2_METADATA_DISABLED: 'true',
});

/** moto behind a proxy that adds client tokens. */
export interface Emulator {
  proxy: FaultProxy;
  tokens: ClientTokens;
  /** Calls moto directly, as a user or another program would. */
  direct: EC2Client;
  /** moto's own address. */
  address: string;
  /** A backend's minimal settings, with these in addition. */
  config(more?: Record<string, unknown>): Record<string, unknown>;
  open(installation: string, more?: Record<string, unknown>): Ec2Backend;
  stop(): Promise<void>;
}

/** @param program moto's server, installed */
export async function startEmulator(program: string): Promise<Emulator> {
  const server = await startMoto(program);
  const tokens = new ClientTokens();
  const proxy = await startFaultProxy(server.address, tokens.serve);
  const behind = new EC2Client({ region: REGION, endpoint: server.address });
  const { Subnets: subnets = [] } = await behind.send(new DescribeSubnetsCommand({}));
  const config = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
    type: 'ec2',
    region: REGION,
    endpoint: proxy.address,
    ingress_url: 'http://127.0.0.1:1',
    image: { filter: { name: 'amzn2-ami-hvm-*' }, owner: 'amazon' },
    types: ['m5.large'],
    subnets: [subnets[0]?.SubnetId],
    poll: '200ms',
    ...more,
  });
  return {
    proxy,
    tokens,
    direct: behind,
    address: server.address,
    config,
    open: (installation, more) =>
      new Ec2Backend({
        installation,
        config: ec2Backend.parse(config(more)),
        // Different on every call, as the credentials in it are. Other tests cover the real user data.
        userData: ({ runner }, { credentials }) => `#!/bin/sh\n# ${runner} ${credentials} ${Math.random()}\n`,
        log: createLogger('test', 'silent'),
        listLagMs: 1000,
        pageSize: 5,
      }),
    stop: async () => {
      await proxy.close();
      await server.stop();
    },
  };
}

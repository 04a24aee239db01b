import { createOperatorSetup, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { acquireServer } from '../../../deploy/servers/acquire.ts';
import { startNatsServer, type NatsServer } from '../../../deploy/servers/nats.ts';
import { startTemporalServer, type TemporalServer } from '../../../deploy/servers/temporal.ts';
import type { StateFolder } from './state-folder.ts';
import { reportStep } from './steps.ts';
import type { Cleanups } from './cleanups.ts';

export interface Servers {
  /** Undefined where the configuration names a server. */
  temporal: TemporalServer | undefined;
  nats: NatsServer | undefined;
  /** Undefined where the configuration names a NATS server. */
  operator: OperatorSetup | undefined;
}

/** Finds or downloads the wanted servers, and starts them side by side. */
export async function startServers(
  wanted: { temporal: boolean; nats: boolean; temporalUiPort: number | undefined },
  { state, cleanups }: { state: StateFolder; cleanups: Cleanups },
): Promise<Servers> {
  // One after the other: building both at once takes as long, and the terminal shows only one progress line.
  const natsProgram = wanted.nats ? await acquireServer('nats-server') : undefined;
  if (wanted.temporal) await acquireServer('temporal');

  const startOwnNats = async (): Promise<Pick<Servers, 'nats' | 'operator'>> => {
    if (natsProgram === undefined) return { nats: undefined, operator: undefined };
    const isStarted = natsProgram.kind === 'program';
    const operator = isStarted ? await createOperatorSetup(state.operator, { storeDir: state.nats }) : undefined;
    const nats = await reportStep('NATS', () => startNatsServer({ dir: state.nats, operator }));
    await cleanups.add(() => nats.stop());
    return { nats, operator };
  };
  const startOwnTemporal = async (): Promise<TemporalServer | undefined> => {
    if (!wanted.temporal) return undefined;
    const temporal = await reportStep('Temporal', () =>
      startTemporalServer({ dir: state.temporal, persist: true, uiPort: wanted.temporalUiPort }),
    );
    await cleanups.add(() => temporal.stop());
    return temporal;
  };
  const [{ nats, operator }, temporal] = await Promise.all([startOwnNats(), startOwnTemporal()]);
  return { nats, operator, temporal };
}

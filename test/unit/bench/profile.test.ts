import { describe, expect, it } from 'vitest';
import { formatProfiles, readDatabaseOperations } from '../../bench/profile.ts';

describe('the profile of a burst', () => {
  it('adds an operation of Temporal’s database up over its services, and tells visibility apart', () => {
    const metrics = `
# TYPE persistence_latency histogram
persistence_latency_bucket{namespace="default",operation="UpdateWorkflowExecution",service_name="history",le="1"} 9
persistence_latency_sum{namespace="default",operation="UpdateWorkflowExecution",service_name="history"} 0.25
persistence_latency_count{namespace="default",operation="UpdateWorkflowExecution",service_name="history"} 9
persistence_latency_sum{namespace="other",operation="UpdateWorkflowExecution",service_name="history"} 2.5e-1
persistence_latency_count{namespace="other",operation="UpdateWorkflowExecution",service_name="history"} 1
visibility_persistence_latency_sum{operation="UpsertWorkflowExecution",service_name="history"} 3
visibility_persistence_latency_count{operation="UpsertWorkflowExecution",service_name="history"} 4
`;
    expect([...readDatabaseOperations(metrics)]).toEqual([
      ['UpdateWorkflowExecution', { count: 10, seconds: 0.5 }],
      ['visibility: UpsertWorkflowExecution', { count: 4, seconds: 3 }],
    ]);
  });

  it('shows shares of all cores', () => {
    const text = formatProfiles(
      new Map([
        [
          'burst50',
          {
            seconds: 1,
            cpuMsPerJob: { relay: 5, temporal: 20 },
            forgeMsPerJob: 5,
            otherMsPerJob: 6,
            idleMsPerJob: 4,
            database: [{ name: 'UpdateWorkflowExecution', perJob: 7.04, msPerJob: 3.21 }],
          },
        ],
      ]),
    );
    expect(text.split('\n')).toEqual([
      'burst50: 1.0 s until the last instance; of all cores, a job takes 40.0 ms:',
      '  temporal: 20.0 ms, 50 %',
      '  sender, instances, system: 6.0 ms, 15 %',
      '  relay: 5.0 ms, 13 %',
      '  forge and bench: 5.0 ms, 13 %',
      '  idle: 4.0 ms, 10 %',
      'Temporal’s database, how often a job needs what, and how long all of it takes:',
      '  UpdateWorkflowExecution: 7.0 ×, 3.2 ms',
    ]);
  });
});

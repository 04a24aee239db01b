import { getErrorMessage } from '../../../contracts/errors.ts';
import { toAnnotation } from '../../lib/workflow-command.ts';
import { cleanWorkspace } from './clean-workspace.ts';
import { dockerPrune } from './docker-prune.ts';
import { record } from './resource-usage/recorder.ts';
import { startRecorder, reportUsage } from './resource-usage/resource-usage.ts';

/**
 * The wrappers that come with Baton: `built-in.mjs NAME PHASE`. Each phase is a process of its own, as in any other
 * wrapper, so that one that hangs or crashes is handled in the same way.
 */
async function main([name, phase, file]: string[]): Promise<void> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  switch (`${name} ${phase}`) {
    case 'resource-usage pre':
      return startRecorder(env);
    case 'resource-usage record':
      return record(file ?? '');
    case 'resource-usage post':
      return reportUsage(env);
    case 'clean-workspace post':
      return cleanWorkspace(env['GITHUB_WORKSPACE']);
    case 'docker-prune post':
      return dockerPrune(env);
    default:
      // ADR 361 requires a main, even one that does nothing.
      return undefined;
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.log(toAnnotation('error', `Baton: ${getErrorMessage(error)}`));
  process.exitCode = 1;
});

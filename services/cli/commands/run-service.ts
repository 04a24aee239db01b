/**
 * Runs a service in this process, as if its own main.ts had been started with the arguments that follow its name.
 *
 * @param name a folder of services/
 */
export async function runServiceMain(name: string): Promise<void> {
  const at = process.argv.indexOf(name, 2);
  process.argv = [...process.argv.slice(0, 2), ...process.argv.slice(at + 1)];
  switch (name) {
    case 'ingress':
      await import('../../ingress/main.ts');
      break;
    case 'relay':
      await import('../../relay/main.ts');
      break;
    case 'orchestrator':
      await import('../../orchestrator/main.ts');
      break;
    case 'backend':
      await import('../../backend/main.ts');
      break;
    case 'proxy':
      if (process.argv[2] === 'run') process.argv.splice(2, 1);
      await import('../../proxy/main.ts');
      break;
    default:
      throw new Error(`there is no service ${name}`);
  }
}

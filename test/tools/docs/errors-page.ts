import { ERRORS } from '../../../contracts/errors.ts';
import { REMOVAL_REASONS } from '../../../contracts/workflows/phase.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

/** The page of all errors, from the registry. */
export function errorsPage(): string {
  const errors = Object.entries(ERRORS).map(([name, { retryable, help }]) => [
    code(name),
    retryable ? 'yes' : 'no',
    help,
  ]);
  const reasons = Object.entries(REMOVAL_REASONS).map(([reason, text]) => [code(reason), text]);
  return `# Errors

${generatedFrom('contracts/errors.ts', 'contracts/workflows/phase.ts')}

Every error has a code. You find the code in HTTP answers and log lines as \`code\`, in Temporal’s UI as the
failure type, and in dead letters as the header \`Baton-Reason-Code\`. The message says what Baton was doing to what. Baton
retries a retryable error by itself. [Troubleshoot](../guides/troubleshoot.md) starts from symptoms instead.

${markdownTable(['Code', 'Retried', 'What to do'], errors)}

## Why a runner was removed

Temporal’s UI shows the reason in the result of the runner’s workflow. If the runner failed, the reason is the failure type.

${markdownTable(['Reason', 'Meaning'], reasons)}
`;
}

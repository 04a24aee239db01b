import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { temporaryFolder } from '../../support/cleanup.ts';
import { CONTRACT_PAGE, mark, outcomes, OUTCOMES_VARIABLE, type Outcomes } from '../../contract/backend/outcomes.ts';
import { ROWS } from '../../contract/backend/rows.ts';

/** `npm run contract`: runs the contract tests of every backend, and writes their page: rows × backends. */

const folder = temporaryFolder('contract');
const root = fileURLToPath(new URL('../../../', import.meta.url));
const backends = readdirSync(join(root, 'test/contract/backend'))
  .filter((name) => name.endsWith('.test.ts') && name !== 'worker.test.ts')
  .map((name) => name.slice(0, -'.test.ts'.length));

const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--config',
    'test/vitest.config.ts',
    '-t',
    'the .* backend ',
    ...backends.map((backend) => `test/contract/backend/${backend}.test.ts`),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, [OUTCOMES_VARIABLE]: folder.path } },
);

const runs = backends
  .map((backend) => join(folder.path, `${backend}.json`))
  .filter((file) => existsSync(file))
  .map((file) => outcomes.parse(JSON.parse(readFileSync(file, 'utf8'))));
folder.remove();

const missing = backends.filter((backend) => !runs.some((run) => run.backend === backend));
if (missing.length > 0) {
  console.error(`the page is unchanged, because these backends cannot be tested here: ${missing.join(', ')}`);
  process.exit(1);
}

const config = await resolveConfig(CONTRACT_PAGE);
mkdirSync(dirname(CONTRACT_PAGE), { recursive: true });
writeFileSync(CONTRACT_PAGE, await format(page(runs), { ...config, parser: 'markdown' }));
console.log(`written: ${CONTRACT_PAGE}`);
process.exitCode = status ?? 1;

function page(all: Outcomes[]): string {
  const reasons: string[] = [];
  const cell = (run: Outcomes, row: (typeof ROWS)[number]): string => {
    const result = run.rows[row];
    if (typeof result !== 'object') return mark(result);
    if (!reasons.includes(result.absent)) reasons.push(result.absent);
    return `${mark(result)} (${reasons.indexOf(result.absent) + 1})`;
  };
  const lines = ROWS.map((row) => `| ${row} | ${all.map((run) => cell(run, row)).join(' | ')} |`);
  return `# The contract of backends

<!-- Made by \`npm run contract\` from a run of test/contract/backend. Each run of the tests compares itself with it. -->

Each row is a promise that every backend makes. ✓ means that the tests found it true, ✗ that they found it broken, – that it does not
apply to this backend; the numbers below say why. [CONTRIBUTING](../../../CONTRIBUTING.md#add-a-backend) says how to add a backend.

| Row | ${all.map(({ backend }) => backend).join(' | ')} |
| --- | ${all.map(() => '---').join(' | ')} |
| _run against_ | ${all.map(({ against }) => against).join(' | ')} |
${lines.join('\n')}

${reasons.map((reason, index) => `${index + 1}. ${reason}`).join('\n')}
`;
}

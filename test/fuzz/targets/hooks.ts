import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { bootstrapFile } from '../../../contracts/messages/bootstrap-file.ts';
import { hookLine } from '../../../hooks/lib/hook-line.ts';
import { parseGoDuration } from '../../../hooks/action-runners/manager/go-duration.ts';
import { parseRecording, toJobResources } from '../../../hooks/job-hooks/built-in/resource-usage/summary.ts';
import { loadAction } from '../../../hooks/job-hooks/wrappers/action-file.ts';
import { CommandFilter } from '../../../hooks/job-hooks/wrappers/command-filter.ts';
import { appendEnv, EnvironmentFiles } from '../../../hooks/job-hooks/wrappers/environment-files.ts';
import { evaluateTemplate, isConditionMet } from '../../../hooks/job-hooks/wrappers/expression.ts';
import { HookState } from '../../../hooks/job-hooks/wrappers/hook-state.ts';
import type { FuzzTarget } from '../lib/target.ts';

const SCOPE = { env: { GITHUB_SHA: 'abc' }, inputs: { a: '1' }, status: 'success' } as const;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A carriage return before the end of a line belongs to the line's end. */
const withoutReturns = (values: ReadonlyMap<string, string>): [string, string][] =>
  [...values].map(([name, value]) => [name, value.replaceAll(/\r+(?=\n|$)/g, '')]);

/**
 * What the inside of an instance sends: any process of a job, an action's files, a phase's output.
 *
 * @param folder for files
 */
export function createHookTargets(folder: string): FuzzTarget[] {
  return [
    {
      name: 'hook-line',
      run: (text) => {
        const { data } = hookLine.safeParse(parseJson(text));
        if (data !== undefined) expect(data.waitMs).toBeLessThanOrEqual(60_000);
      },
    },
    { name: 'bootstrap', run: (text) => bootstrapFile.safeParse(parseJson(text)) },
    {
      name: 'action-file',
      errors: ['WRAPPER_INVALID'],
      run: async (text) => {
        const path = join(folder, 'action');
        mkdirSync(path, { recursive: true });
        for (const file of ['main.js', 'post.js']) writeFileSync(join(path, file), '');
        writeFileSync(join(path, 'action.yml'), text);
        const action = await loadAction(path);
        expect(['node', 'docker', 'sh']).toContain(action.using.kind);
      },
    },
    {
      name: 'expression',
      errors: ['WRAPPER_INVALID'],
      run: (text) => {
        evaluateTemplate(text, SCOPE);
        expect(typeof isConditionMet(text, SCOPE)).toBe('boolean');
      },
    },
    {
      name: 'environment-file',
      run: async (text) => {
        const read = async (content: string): Promise<Map<string, string>> => {
          const files = await EnvironmentFiles.create(folder);
          writeFileSync(files.variables().GITHUB_ENV, content);
          return (await files.take()).env;
        };
        const first = await read(text);
        // Hooks pass on what they read, and the job reads the same.
        const files = await EnvironmentFiles.create(folder);
        await appendEnv(first, files.variables().GITHUB_ENV);
        expect(withoutReturns((await files.take()).env)).toEqual(withoutReturns(first));
      },
    },
    {
      name: 'phase-output',
      run: (text) => {
        const printed: string[] = [];
        const found: [string, string][] = [];
        const add = (name: string, value: string): void => void found.push([name, value]);
        const filter = new CommandFilter((line) => printed.push(line), { saveState: add, setOutput: add });
        for (const line of text.split('\n')) filter.line(line);
        filter.end();
        // Nothing that a phase left open is open for what follows.
        const after: string[] = [];
        const next = new CommandFilter((line) => after.push(line), { saveState: add, setOutput: add });
        next.line('plain');
        next.end();
        expect(after).toEqual(['plain']);
        expect(printed.length).toBeLessThanOrEqual(text.split('\n').length + 2);
      },
    },
    {
      name: 'hook-state',
      run: async (text) => {
        const file = join(folder, 'state.json');
        writeFileSync(file, text);
        const { state } = await HookState.resume(file);
        expect(typeof state.failed).toBe('boolean');
      },
    },
    {
      name: 'resource-recording',
      run: (text) => {
        const recording = parseRecording(text);
        if (recording !== undefined) expect(toJobResources(recording).seconds).toBeGreaterThan(0);
      },
    },
    {
      name: 'go-duration',
      run: (text) => {
        const ms = parseGoDuration(text);
        if (ms !== undefined) expect(Number.isFinite(ms) && ms >= 0).toBe(true);
      },
    },
  ];
}

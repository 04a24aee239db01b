import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The slowest kind first. */
const KINDS = ['/test/e2e/', '/test/contract/', '/test/integration/'];

/** Where no earlier run has left its durations, vitest starts large files first; a slow small one would be alone at the end. */
export class SlowFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => KINDS.findIndex((kind) => moduleId.includes(kind));
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

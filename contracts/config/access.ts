import { z } from 'zod';

const repositoryName = z.string().regex(/^[^/\s]+$/, 'expected the repository’s name without its owner');

const WORKFLOW_REFERENCE = /^[^/\s,]+\/[^/\s,]+\/\.github\/workflows\/[^/\s,@]+\.ya?ml@[^\s,]+$/;

const workflowReference = z
  .string()
  .regex(WORKFLOW_REFERENCE, 'expected OWNER/REPOSITORY/.github/workflows/FILE.yml@REF');

const commaSeparated = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .transform((parts) => parts.filter((part) => part !== ''))
  .pipe(z.array(workflowReference).min(1));

/** Who may use a group: a part of each group's settings. */
export const accessShape = {
  organization: z.string().min(1).describe('Organisation or owner of the runners and the group.'),
  repository: repositoryName
    .optional()
    .describe('Repository, without its owner, if the runners are for one repository only.'),
  adopt: z
    .boolean()
    .default(false)
    .describe(
      'Whether to use a runner group of that name that Baton did not make. It gets no more access than it has. Default: such a group is left alone, and its runners do not register.',
    ),
  repositories: z
    .array(repositoryName)
    .min(1)
    .optional()
    .describe('Repositories that may use the group, without the owner. Default: all.'),
  allow_public_repositories: z.boolean().default(true).describe('Whether public repositories may use the group.'),
  workflows: z
    .union([commaSeparated, z.array(workflowReference).min(1)], 'expected a list, or text separated by commas')
    .optional()
    .describe(
      'Workflows that may use the group, as OWNER/REPOSITORY/.github/workflows/FILE.yml@REF: a list, or text separated by commas. Default: all.',
    ),
  workflow: z
    .string()
    .min(1)
    .optional()
    .describe('The name of the one workflow whose jobs the group takes. Default: any.'),
};

import type { Argument, Command, Option } from 'commander';
import { createProgram } from '../../../services/cli/program.ts';
import { code, generatedFrom, markdownTable } from './markdown.ts';

/** The page of all commands, from the program that \`baton\` runs. */
export function cliPage(): string {
  const program = createProgram();
  const commands = visibleCommands(program);
  return `# Command line

${generatedFrom('services/cli/program.ts')}

In a checkout, run \`npx baton COMMAND\`; in Baton’s image, \`baton COMMAND\`. \`baton COMMAND --help\` prints the same as this
page. A command exits with 0 if it succeeded and with 1 if it did not; \`baton explain\` with 2 if the job is unknown.

${markdownTable(
  ['Command', 'What it does'],
  commands.map((command) => [`[${code(pathOf(command))}](#${anchorOf(command)})`, command.description()]),
)}

${commands.map(commandSection).join('\n\n')}
`;
}

/** All commands that do something, also those inside others, in the order of the help. */
function visibleCommands(parent: Command): Command[] {
  return parent.commands.flatMap((command) => (command.commands.length > 0 ? visibleCommands(command) : [command]));
}

function commandSection(command: Command): string {
  const rows = [
    ...command.registeredArguments.map((argument) => [
      code(argument.required ? `<${argument.name()}>` : `[${argument.name()}]`),
      argumentText(argument),
    ]),
    ...command.options.map((option) => [code(option.flags), optionText(option)]),
  ];
  const parts = [`## ${pathOf(command)}`, command.description()];
  parts.push('```console\n$ ' + usageOf(command) + '\n```');
  if (rows.length > 0) parts.push(markdownTable(['Argument or option', 'Meaning'], rows));
  return parts.join('\n\n');
}

function usageOf(command: Command): string {
  return `${pathOf(command)} ${command.usage()}`.trim();
}

/** Such as \`baton proxy token\`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function anchorOf(command: Command): string {
  return pathOf(command).replaceAll(' ', '-');
}

function argumentText({ description, defaultValue }: Argument): string {
  return `${description}${defaultText(defaultValue)}`;
}

function optionText({ description, defaultValue, argChoices, negate }: Option): string {
  const choices = argChoices === undefined ? '' : `; one of ${argChoices.map(code).join(', ')}`;
  // Commander gives `--no-…` the default true.
  return `${description}${choices}${negate ? '' : defaultText(defaultValue)}`;
}

function defaultText(value: unknown): string {
  return typeof value === 'string' ? ` (default: ${code(value)})` : '';
}

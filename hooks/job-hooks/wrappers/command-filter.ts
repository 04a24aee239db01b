import { unescapeMessage, unescapeProperty } from '../../lib/workflow-command.ts';

const COMMAND = /^\s*::(?<name>[a-z-]+)(?: (?<properties>.*?))?::(?<value>.*)$/i;

/** Receives the workflow commands that are for Baton rather than for the forge's runner. */
export interface CommandListener {
  saveState(name: string, value: string): void;
  setOutput(name: string, value: string): void;
}

/**
 * Filters the output of one phase on its way to the hook's output. `save-state` and `set-output`, which the forge's
 * runner refuses in a hook, go to the listener; all other commands pass. A group or stopped commands that the phase
 * left open are closed at its end, so that they do not change the meaning of later output.
 */
export class CommandFilter {
  #stopToken: string | undefined;
  #isGroupOpen = false;
  readonly #print: (line: string) => void;
  readonly #listener: CommandListener;

  constructor(print: (line: string) => void, listener: CommandListener) {
    this.#print = print;
    this.#listener = listener;
  }

  line(line: string): void {
    if (this.#stopToken !== undefined) {
      if (line.trim() === `::${this.#stopToken}::`) this.#stopToken = undefined;
      this.#print(line);
      return;
    }
    const { name = '', properties = '', value = '' } = COMMAND.exec(line)?.groups ?? {};
    const key = unescapeProperty(/(?:^|,)name=([^,]*)/.exec(properties)?.[1] ?? '');
    switch (name.toLowerCase()) {
      case 'save-state':
        if (key !== '') this.#listener.saveState(key, unescapeMessage(value));
        return;
      case 'set-output':
        if (key !== '') this.#listener.setOutput(key, unescapeMessage(value));
        return;
      case 'stop-commands':
        this.#stopToken = value.trim();
        break;
      case 'group':
        this.#isGroupOpen = true;
        break;
      case 'endgroup':
        this.#isGroupOpen = false;
        break;
      default:
    }
    this.#print(line);
  }

  end(): void {
    if (this.#stopToken !== undefined) this.#print(`::${this.#stopToken}::`);
    if (this.#isGroupOpen) this.#print('::endgroup::');
    this.#stopToken = undefined;
    this.#isGroupOpen = false;
  }
}

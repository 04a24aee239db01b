const COMMAND = /^\s*::(?<name>[a-z-]+)(?: (?<properties>.*?))?::(?<value>.*)$/i;

/** What a wrapper's output may say to us rather than to the forge's runner. */
export interface CommandListener {
  saveState(name: string, value: string): void;
  setOutput(name: string, value: string): void;
}

/**
 * One phase's output on its way to the hook's: `save-state` and `set-output`, which the forge's runner refuses in a hook, are
 * kept here; all other commands pass. What the phase left open (a group, stopped commands) is closed at its end, so that
 * what comes after it is read as it is meant.
 */
export class CommandFilter {
  private stopToken: string | undefined;
  private isGroupOpen = false;
  private readonly print: (line: string) => void;
  private readonly listener: CommandListener;

  constructor(print: (line: string) => void, listener: CommandListener) {
    this.print = print;
    this.listener = listener;
  }

  line(line: string): void {
    if (this.stopToken !== undefined) {
      if (line.trim() === `::${this.stopToken}::`) this.stopToken = undefined;
      this.print(line);
      return;
    }
    const { name = '', properties = '', value = '' } = COMMAND.exec(line)?.groups ?? {};
    const key = unescaped(/(?:^|,)name=([^,]*)/.exec(properties)?.[1] ?? '', true);
    switch (name.toLowerCase()) {
      case 'save-state':
        if (key !== '') this.listener.saveState(key, unescaped(value));
        return;
      case 'set-output':
        if (key !== '') this.listener.setOutput(key, unescaped(value));
        return;
      case 'stop-commands':
        this.stopToken = value.trim();
        break;
      case 'group':
        this.isGroupOpen = true;
        break;
      case 'endgroup':
        this.isGroupOpen = false;
        break;
      default:
    }
    this.print(line);
  }

  end(): void {
    if (this.stopToken !== undefined) this.print(`::${this.stopToken}::`);
    if (this.isGroupOpen) this.print('::endgroup::');
    this.stopToken = undefined;
    this.isGroupOpen = false;
  }
}

function unescaped(text: string, isProperty = false): string {
  const plain = isProperty ? text.replaceAll('%3A', ':').replaceAll('%2C', ',') : text;
  return plain.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}

/** A text as the value of a workflow command. */
export function escaped(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

/** A text as a property of a workflow command. */
export function escapedProperty(text: string): string {
  return escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

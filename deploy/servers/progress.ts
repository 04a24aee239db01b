import { formatDuration } from '../../contracts/format.ts';

export interface StepProgress {
  /** Changes what the running step's line says. */
  update(detail: string): void;
  /** Ends the step with its last line. */
  done(result: string): void;
}

/**
 * Shows a step that may be long, on stderr. On a terminal: one line with the time since its start, redrawn each second.
 * Elsewhere: a line at the start, each 15 s, and at the end. Nothing at all for what takes less than a second.
 */
export function startStepProgress(title: string, out: NodeJS.WriteStream = process.stderr): StepProgress {
  const since = Date.now();
  const live = out.isTTY;
  let detail = '';
  let shown = false;
  const line = (text: string): string => `  ${title}: ${text}`;

  function show(): void {
    shown = true;
    const text = line(`${detail ? `${detail}, ` : ''}${formatDuration(Date.now() - since)}`);
    if (live) out.write(`\r\x1b[2K${text.slice(0, out.columns - 1)}`);
    else out.write(`${text}\n`);
  }

  const first = setTimeout(show, 1000);
  const timer = setInterval(show, live ? 1000 : 15_000);
  first.unref();
  timer.unref();
  return {
    update(text) {
      detail = text;
    },
    done(result) {
      clearTimeout(first);
      clearInterval(timer);
      if (live && shown) out.write('\r\x1b[2K');
      if (shown) out.write(`${line(`${result} (${formatDuration(Date.now() - since)})`)}\n`);
    },
  };
}

import { formatDuration } from '../../contracts/format.ts';

export interface StepProgress {
  /** Changes the text of the running step. */
  update(detail: string): void;
  /** Ends the step, and prints its result. */
  done(result: string): void;
}

/**
 * Shows the progress of a step that may take long, on stderr. On a terminal: one line with its time so far, redrawn every second.
 * Elsewhere: a line at the start, every 15 s, and at the end. A step of less than a second shows nothing.
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

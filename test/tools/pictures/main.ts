import { mkdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBrowser, takePicture } from './browser.ts';
import { setScene } from './scene.ts';
import { finishedRunnerShot, runningRunnerShot, statusPageShot, workflowListShot, type Shot } from './shots.ts';

/** `npm run pictures`: takes the pictures of the docs from a running cluster. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDER = join(ROOT, 'deploy', 'docs', 'pictures');

const SHOTS: Record<string, Shot> = {
  'runner-running': runningRunnerShot,
  'runner-finished': finishedRunnerShot,
  runners: workflowListShot,
  status: statusPageShot,
};

mkdirSync(FOLDER, { recursive: true });
// The browser first, because it may be missing.
const browser = await startBrowser();
try {
  console.log('starting servers and services, pushing a workflow …');
  const scene = await setScene();
  try {
    for (const [name, shoot] of Object.entries(SHOTS)) {
      const path = join(FOLDER, `${name}.png`);
      await takePicture(browser, path, (page) => shoot(page, scene));
      console.log(`${relative(ROOT, path)}  ${Math.round(statSync(path).size / 1000)} kB`);
    }
  } finally {
    console.log('waiting for the jobs to end, stopping everything …');
    await scene.end();
  }
} finally {
  await browser.close();
}

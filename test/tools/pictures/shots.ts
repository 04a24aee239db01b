import type { Page } from 'playwright-core';
import { runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { Scene } from './scene.ts';

/** Brings the page to what the picture shows, and resolves when all of it is there. */
export type Shot = (page: Page, scene: Scene) => Promise<void>;

/** Temporal's UI: the details of a runner while its job runs. */
export const runningRunnerShot: Shot = async (page, scene) => {
  await page.goto(toWorkflowUrl(scene, runnerWorkflowId('large', scene.running)));
  await page.getByTestId('user-metadata-tab').last().click();
  // Summary, static and current details each have a frame with the text in its address. A loaded frame has a height.
  const details = page.locator('iframe[title=output][height][src*="Last%20events"]');
  await details.contentFrame().getByText('hook: job build started').waitFor();
};

/** Temporal's UI: the events of a runner, from its creation to its removal. */
export const finishedRunnerShot: Shot = async (page, scene) => {
  await remember(page, { eventView: 'compact', eventFilterSort: 'ascending', minimizeEventView: false });
  await page.setViewportSize({ width: 1280, height: 744 });
  await page.goto(toWorkflowUrl(scene, runnerWorkflowId('linux', scene.finished)));
  const events = page.getByTestId('event-summary-row');
  await events.filter({ hasText: `delete instance ${scene.finished}` }).waitFor();
  await page.locator('svg').getByText('remove the registration from the forge').first().waitFor();
  // Scroll input and result, which are above the history, out of the picture.
  await page.getByTestId('input-and-result').evaluate((above) => {
    above.style.scrollMarginTop = `${48 - above.offsetHeight}px`;
    above.scrollIntoView();
  });
  await events.first().waitFor();
};

/** Temporal's UI: a group's runners with Baton's search attributes. */
export const workflowListShot: Shot = async (page, scene) => {
  const columns = ['Status', 'Workflow ID', 'BatonPhase', 'BatonRepository', 'BatonWorkflow', 'BatonJob'];
  const shown = columns.map((label) => ({ label }));
  await remember(page, { 'namespace-workflow-table-columns': { [scene.cluster.temporal.namespace]: shown } });
  await page.setViewportSize({ width: 1280, height: 560 });
  const query = '`BatonGroup`="linux" AND `WorkflowType`="runner"';
  await page.goto(`${toWorkflowsUrl(scene)}?query=${encodeURIComponent(query)}`);
  await page.getByLabel('Collapse saved views').click();
  const rows = page.getByTestId('workflows-summary-configurable-table-row');
  await rows.filter({ hasText: 'busy' }).nth(3).waitFor();
  await rows.filter({ hasText: 'gone' }).nth(2).waitFor();
};

/** Baton's own page, while jobs run and wait. */
export const statusPageShot: Shot = async (page, { cluster }) => {
  await page.goto(`${cluster.getUrl('ingress-1')}/status`);
  await page.locator('.fresh.live').waitFor();
  await page.locator('#rows .pill.busy').nth(4).waitFor();
  await page.locator('#rows .pill.gone').nth(2).waitFor();
};

/** Stores choices of the UI's user, as if they had been made before. */
async function remember(page: Page, choices: Record<string, unknown>): Promise<void> {
  const entries = Object.entries(choices).map(([key, value]) => [key, JSON.stringify(value)]);
  await page.addInitScript(`for (const entry of ${JSON.stringify(entries)}) localStorage.setItem(...entry)`);
}

function toWorkflowsUrl({ cluster }: Scene): string {
  return `${cluster.temporal.uiUrl}/namespaces/${cluster.temporal.namespace}/workflows`;
}

function toWorkflowUrl(scene: Scene, id: string): string {
  return `${toWorkflowsUrl(scene)}/${encodeURIComponent(id)}`;
}

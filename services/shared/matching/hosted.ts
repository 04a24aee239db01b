/**
 * Labels of GitHub's own machines, larger ones included: `ubuntu-latest`, `ubuntu-24.04-arm`, `windows-2025`,
 * `macos-15-xlarge`, `ubuntu-latest-16-cores`.
 * Source: https://docs.github.com/en/actions/reference/runners/github-hosted-runners
 */
const HOSTED = /^(ubuntu|windows|macos)-(latest|slim|\d[\d.]*)(-[\w.-]+)?$/i;

/** Whether a job with these labels asks for one of the forge's own machines. Ask only for a job that no group serves. */
export function isHosted(labels: readonly string[]): boolean {
  return labels.some((label) => HOSTED.test(label)) && !labels.some((label) => label.toLowerCase() === 'self-hosted');
}

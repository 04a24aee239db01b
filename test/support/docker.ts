import Docker from 'dockerode';

let answers: Promise<boolean> | undefined;

/** Whether this machine's Docker engine answers. */
export function isDockerAvailable(): Promise<boolean> {
  answers ??= new Docker().ping().then(
    () => true,
    () => false,
  );
  return answers;
}

/** Why tests that need a Docker engine are skipped; undefined where one answers. */
export async function whyNoDocker(): Promise<string | undefined> {
  return (await isDockerAvailable()) ? undefined : 'no Docker engine answers';
}

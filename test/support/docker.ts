import Docker from 'dockerode';

let answers: Promise<boolean> | undefined;

/** Whether a Docker engine answers here. */
export function dockerAnswers(): Promise<boolean> {
  answers ??= new Docker().ping().then(
    () => true,
    () => false,
  );
  return answers;
}

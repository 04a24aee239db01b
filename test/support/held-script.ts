/** A job's script that lasts until the file exists, which ends it. */
export const untilExists = (file: string): string => `while [ ! -e ${file} ]; do sleep 0.1; done`;

/** The control API was asked for something that doesn't exist. */
export class NotFoundError extends Error {}

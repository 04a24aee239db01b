/** An error response, worded as GitHub words it. */
export class ApiError extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** Fields of the body, in addition to `message`, `documentation_url` and `status`. */
  readonly more: Record<string, unknown>;

  constructor(
    status: number,
    message: string,
    options: { headers?: Record<string, string>; more?: Record<string, unknown> } = {},
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.headers = options.headers ?? {};
    this.more = options.more ?? {};
  }

  body(): Record<string, unknown> {
    return {
      message: this.message,
      documentation_url: 'https://docs.github.com/rest',
      status: String(this.status),
      ...this.more,
    };
  }
}

export const notFound = (): ApiError => new ApiError(404, 'Not Found');

/** An error 422, with each problem as a sentence. */
export const invalid = (message: string, errors?: string[]): ApiError =>
  new ApiError(422, message, errors ? { more: { errors } } : {});

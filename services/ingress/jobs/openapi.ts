import { z } from 'zod';
import { jobContext } from '../../../contracts/messages/delegation.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { accepted, jobAnswer, jobPath, jobsAnswer, jobsQuery, problem } from './shapes.ts';

const toJsonSchema = (schema: z.ZodType, io: 'input' | 'output'): object => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
};

const body = (schema: z.ZodType, io: 'input' | 'output') => ({
  content: { 'application/json': { schema: toJsonSchema(schema, io) } },
});
const response = (description: string, schema: z.ZodType) => ({ description, ...body(schema, 'output') });
const parameters = (location: 'path' | 'query', schema: z.ZodObject) =>
  Object.entries(schema.shape).map(([name, shape]) => {
    return { name, in: location, required: location === 'path', schema: toJsonSchema(shape, 'input') };
  });

const COMMON_ERRORS = {
  401: response(
    'The bearer token is missing, expired, valid for more than a day or not signed by a configured key.',
    problem,
  ),
  403: response('The token belongs to another proxy, is not for this route, or its proxy is not configured.', problem),
  429: response('The proxy sends too many requests. Try again after `retry-after`.', problem),
  503: response('NATS does not answer, and nothing was stored. Try again after `retry-after`.', problem),
};
const INVALID = response('The request is invalid: `details.fields` lists every wrong field.', problem);
const UNKNOWN = response('No delegation has this id.', problem);

/** Builds the OpenAPI 3.1 document of `/api/jobs` from the schemas that the routes use. */
export function buildOpenApiDocument(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Baton: delegation',
      version: packageFile.version,
      description:
        'Proxy runners delegate their jobs to ephemeral runners. Every request needs the proxy’s bearer token.',
    },
    security: [{ proxy: [] }],
    components: { securitySchemes: { proxy: { type: 'http', scheme: 'bearer' } } },
    paths: {
      '/api/jobs/delegate': {
        post: {
          operationId: 'delegateJob',
          summary: 'Delegates a job. The same job sent again gets the same id.',
          requestBody: { required: true, ...body(jobContext, 'input') },
          responses: {
            202: response('Accepted: the job is stored on disk.', accepted),
            400: INVALID,
            413: response('The body is larger than 256 KiB.', problem),
            415: response('The content type is not application/json.', problem),
            ...COMMON_ERRORS,
          },
        },
      },
      '/api/jobs': {
        get: {
          operationId: 'listJobs',
          summary: 'Lists the jobs that this proxy delegated, newest first.',
          parameters: parameters('query', jobsQuery),
          responses: { 200: response('The jobs.', jobsAnswer), 400: INVALID, ...COMMON_ERRORS },
        },
      },
      '/api/jobs/{id}': {
        get: {
          operationId: 'getJob',
          summary: 'Shows one job: its state, its runner and its result.',
          parameters: parameters('path', jobPath),
          responses: { 200: response('The job.', jobAnswer), 400: INVALID, 404: UNKNOWN, ...COMMON_ERRORS },
        },
      },
      '/api/jobs/{id}/complete': {
        post: {
          operationId: 'completeJob',
          summary: 'Reports that the proxy’s own attempt of the job has ended.',
          parameters: parameters('path', jobPath),
          responses: { 202: response('Accepted.', accepted), 400: INVALID, 404: UNKNOWN, ...COMMON_ERRORS },
        },
      },
    },
  };
}

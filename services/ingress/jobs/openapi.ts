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
const answer = (description: string, schema: z.ZodType) => ({ description, ...body(schema, 'output') });
const parameters = (location: 'path' | 'query', schema: z.ZodObject) =>
  Object.entries(schema.shape).map(([name, shape]) => {
    return { name, in: location, required: location === 'path', schema: toJsonSchema(shape, 'input') };
  });

const COMMON_ERRORS = {
  401: answer('No bearer token that is signed and not expired.', problem),
  403: answer('The token is for another proxy, or its proxy is not configured.', problem),
  429: answer('This proxy asks too often; see `retry-after`.', problem),
  503: answer('NATS does not answer; nothing was taken.', problem),
};
const INVALID = answer('Wrong fields, all of them, under `details.fields`.', problem);
const UNKNOWN = answer('There is no such delegation.', problem);

/** The OpenAPI 3.1 document of `/api/jobs`, made of the schemas that the routes themselves use. */
export function buildOpenApiDocument(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Baton: delegation',
      version: packageFile.version,
      description: 'Proxy runners hand their jobs to ephemeral runners. All requests carry a proxy’s bearer token.',
    },
    security: [{ proxy: [] }],
    components: { securitySchemes: { proxy: { type: 'http', scheme: 'bearer' } } },
    paths: {
      '/api/jobs/delegate': {
        post: {
          operationId: 'delegateJob',
          summary: 'Hands a job over. The same job twice has the same id.',
          requestBody: { required: true, ...body(jobContext, 'input') },
          responses: {
            202: answer('Taken: it is on disk.', accepted),
            400: INVALID,
            413: answer('More than 256 KiB.', problem),
            415: answer('Not application/json.', problem),
            ...COMMON_ERRORS,
          },
        },
      },
      '/api/jobs': {
        get: {
          operationId: 'listJobs',
          summary: 'The jobs that this proxy handed over, newest first.',
          parameters: parameters('query', jobsQuery),
          responses: { 200: answer('The jobs.', jobsAnswer), 400: INVALID, ...COMMON_ERRORS },
        },
      },
      '/api/jobs/{id}': {
        get: {
          operationId: 'getJob',
          summary: 'One job: where it is, and how it ended.',
          parameters: parameters('path', jobPath),
          responses: { 200: answer('The job.', jobAnswer), 400: INVALID, 404: UNKNOWN, ...COMMON_ERRORS },
        },
      },
      '/api/jobs/{id}/complete': {
        post: {
          operationId: 'completeJob',
          summary: 'The proxy’s word that its own attempt of the job is over.',
          parameters: parameters('path', jobPath),
          responses: { 202: answer('Taken.', accepted), 400: INVALID, 404: UNKNOWN, ...COMMON_ERRORS },
        },
      },
    },
  };
}

import type { FastifyInstance } from 'fastify';

/** Makes the routes of `scope` accept bodies of type application/json only, unparsed, and up to `maxBytes`. */
export function acceptJsonOnly(scope: FastifyInstance, maxBytes: number): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: maxBytes }, (_request, body, done) => {
    done(null, body);
  });
}

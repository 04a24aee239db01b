import { createServer, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { createGithubClient } from '../../activities/forges/github/client.ts';
import { Github } from '../../activities/forges/github/github.ts';

/** What the forge answers to the removal of a registration: to the search for it, and to its deletion. */
export interface RemovalAnswer {
  /** A runner, also a busy one; none; a status of an error with GitHub's body; a page that is no JSON; or a lost connection. */
  find: 'found' | 'found busy' | 'none' | 'no JSON' | 'lost' | number;
  remove?: 'lost' | number;
  headers?: Record<string, string>;
  /** GitHub's message. */
  message?: string;
}

/** A forge that answers what a test says, and Baton's client of it. */
export interface AnsweringForge {
  forge: Github;
  /** By organisation, lower case. */
  answers: Map<string, RemovalAnswer>;
  /** Calls so far, as `GET` or `DELETE` and the organisation. */
  calls: string[];
  close(): Promise<void>;
}

const RUNNER_ID = 7;

/** Starts an HTTP server that answers every organisation's calls about its runners as a test says. */
export async function startAnsweringForge(): Promise<AnsweringForge> {
  const answers = new Map<string, RemovalAnswer>();
  const calls: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://forge.test');
    const organization = /\/orgs\/([^/]+)\//.exec(url.pathname)?.[1] ?? '';
    const answer = answers.get(organization) ?? { find: 'none' };
    calls.push(`${request.method} ${organization}`);
    const { message = 'no', headers = {} } = answer;
    if (request.method === 'DELETE') {
      if (answer.remove === 'lost') response.destroy();
      else end(response, answer.remove ?? 204, { message }, headers);
      return;
    }
    const { find } = answer;
    if (find === 'lost') response.destroy();
    else if (find === 'no JSON')
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance</html>');
    else if (typeof find === 'number') end(response, find, { message }, headers);
    else end(response, 200, toList(find, url.searchParams.get('name') ?? ''), {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = z.object({ port: z.number() }).parse(server.address());
  const client = createGithubClient({ url: `http://127.0.0.1:${port}`, auth: { token: 'a token' } });
  return {
    forge: new Github(client),
    answers,
    calls,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function toList(find: 'found' | 'found busy' | 'none', name: string): object {
  const runner = { id: RUNNER_ID, name, busy: find === 'found busy', status: 'online' };
  return find === 'none' ? { total_count: 0, runners: [] } : { total_count: 1, runners: [runner] };
}

function end(response: ServerResponse, status: number, body: object, headers: Record<string, string>): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(status === 204 ? undefined : JSON.stringify(body));
}

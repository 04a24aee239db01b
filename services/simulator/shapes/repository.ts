import type { Repository } from '../state.ts';
import type { Urls } from '../simulation.ts';
import { toNodeId, toSimpleUser, type Schemas } from './account.ts';

const MADE = '2024-01-01T00:00:00Z';

/** A repository as in REST lists and webhooks. */
export function toRepositoryShape(urls: Urls, repository: Repository): Schemas['repository-webhooks'] {
  const fullName = `${repository.owner.login}/${repository.name}`;
  const url = `${urls.api}/repos/${fullName}`;
  const web = `${urls.web}/${fullName}`;
  return {
    id: repository.id,
    node_id: toNodeId('R', repository.id),
    name: repository.name,
    full_name: fullName,
    private: repository.private,
    owner: toSimpleUser(urls, repository.owner),
    html_url: web,
    description: null,
    fork: false,
    url,
    forks_url: `${url}/forks`,
    keys_url: `${url}/keys{/key_id}`,
    collaborators_url: `${url}/collaborators{/collaborator}`,
    teams_url: `${url}/teams`,
    hooks_url: `${url}/hooks`,
    issue_events_url: `${url}/issues/events{/number}`,
    events_url: `${url}/events`,
    assignees_url: `${url}/assignees{/user}`,
    branches_url: `${url}/branches{/branch}`,
    tags_url: `${url}/tags`,
    blobs_url: `${url}/git/blobs{/sha}`,
    git_tags_url: `${url}/git/tags{/sha}`,
    git_refs_url: `${url}/git/refs{/sha}`,
    trees_url: `${url}/git/trees{/sha}`,
    statuses_url: `${url}/statuses/{sha}`,
    languages_url: `${url}/languages`,
    stargazers_url: `${url}/stargazers`,
    contributors_url: `${url}/contributors`,
    subscribers_url: `${url}/subscribers`,
    subscription_url: `${url}/subscription`,
    commits_url: `${url}/commits{/sha}`,
    git_commits_url: `${url}/git/commits{/sha}`,
    comments_url: `${url}/comments{/number}`,
    issue_comment_url: `${url}/issues/comments{/number}`,
    contents_url: `${url}/contents/{+path}`,
    compare_url: `${url}/compare/{base}...{head}`,
    merges_url: `${url}/merges`,
    archive_url: `${url}/{archive_format}{/ref}`,
    downloads_url: `${url}/downloads`,
    issues_url: `${url}/issues{/number}`,
    pulls_url: `${url}/pulls{/number}`,
    milestones_url: `${url}/milestones{/number}`,
    notifications_url: `${url}/notifications{?since,all,participating}`,
    labels_url: `${url}/labels{/name}`,
    releases_url: `${url}/releases{/id}`,
    deployments_url: `${url}/deployments`,
    created_at: MADE,
    updated_at: MADE,
    pushed_at: MADE,
    git_url: `${web.replace(/^https?/, 'git')}.git`,
    ssh_url: `git@${new URL(urls.web).hostname}:${fullName}.git`,
    clone_url: `${web}.git`,
    svn_url: web,
    mirror_url: null,
    homepage: null,
    size: 1,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: true,
    has_downloads: true,
    has_wiki: true,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    archived: false,
    disabled: false,
    open_issues_count: 0,
    license: null,
    allow_forking: true,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    visibility: repository.private ? 'private' : 'public',
    forks: 0,
    open_issues: 0,
    watchers: 0,
    default_branch: 'main',
  };
}

/** A repository as in a run. */
export function toMinimalRepository(urls: Urls, repository: Repository): Schemas['minimal-repository'] {
  const { license: _license, ...rest } = toRepositoryShape(urls, repository);
  return rest;
}

/** A repository as REST answers it by its name. */
export function toFullRepository(urls: Urls, repository: Repository): Schemas['full-repository'] {
  return {
    ...toRepositoryShape(urls, repository),
    owner: toSimpleUser(urls, repository.owner),
    has_discussions: false,
    created_at: MADE,
    updated_at: MADE,
    pushed_at: MADE,
    template_repository: null,
    network_count: 0,
    subscribers_count: 0,
  };
}

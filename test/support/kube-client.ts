import { Agent, request as send } from 'undici'
import type { Dispatcher } from 'undici'
import { parseAllDocuments } from 'yaml'
import { openWatch } from './kube-watch.ts'
import type { KubeWatch } from './kube-watch.ts'

/** Any object of the API. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly resourceVersion?: string
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

/** An answer of the API server, whatever its status: refusals are what many tests ask for. */
export interface KubeAnswer<Body = KubeObject> {
  readonly status: number
  readonly body: Body
}

export interface KubeClient {
  readonly request: <Body = KubeObject>(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: object,
    contentType?: string,
  ) => Promise<KubeAnswer<Body>>
  /** Server-side apply with strict validation, one object after another; the first refusal is thrown. */
  readonly apply: (...manifests: readonly (string | object)[]) => Promise<readonly KubeObject[]>
  /** Path of an object, or of its collection where it has no name. */
  readonly path: (object: KubeReference) => Promise<string>
  /** Told of every change from now on, or from a resource version. */
  readonly watch: (path: string, resourceVersion?: string) => Promise<KubeWatch>
  /** The same server, seen by somebody else or written in another name. */
  readonly as: (who: Partial<KubeIdentity>) => KubeClient
}

export interface KubeIdentity {
  readonly token: string
  readonly fieldManager: string
  /** Takes fields over from other managers. */
  readonly force: boolean
}

export interface KubeReference {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata?: { readonly name?: string; readonly namespace?: string }
}

/** What the API server said no to, in its own words. */
export class KubeRefusal extends Error {
  readonly status: number
  readonly reason: string

  constructor(what: string, { status, body }: KubeAnswer<{ readonly reason?: string; readonly message?: string }>) {
    super(`${what}: ${status} ${body.reason ?? ''}: ${body.message ?? ''}`)
    this.status = status
    this.reason = body.reason ?? ''
  }
}

interface Resource {
  readonly plural: string
  readonly namespaced: boolean
}

interface Connection {
  readonly server: string
  readonly dispatcher: Dispatcher
  /** By apiVersion and kind. */
  readonly resources: Map<string, Resource>
}

/** Speaks to an API server; the certificates that it has to show are signed by `ca`. */
export function kubeClient(
  server: string,
  ca: string,
  token: string,
): KubeClient & { readonly close: () => Promise<void> } {
  const dispatcher = new Agent({ connect: { ca }, allowH2: false, bodyTimeout: 0 })
  const connection = { server, dispatcher, resources: new Map<string, Resource>() }
  const client = clientOf(connection, { token, fieldManager: 'test', force: true })
  return { ...client, close: () => dispatcher.destroy() }
}

function clientOf(connection: Connection, who: KubeIdentity): KubeClient {
  const { server, dispatcher } = connection
  const authorization = `Bearer ${who.token}`
  const request: KubeClient['request'] = async (method, path, body, contentType = 'application/json') => {
    const answer = await send(`${server}${path}`, {
      method,
      dispatcher,
      headers: { authorization, ...(body === undefined ? {} : { 'content-type': contentType }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
    const text = await answer.body.text()
    return { status: answer.statusCode, body: parsed(text) as never }
  }
  const client: KubeClient = {
    request,
    path: (object) => pathOf(connection, client, object),
    apply: async (...manifests) => {
      const applied: KubeObject[] = []
      for (const one of manifests.flatMap(objects)) applied.push(await apply(client, who, one))
      return applied
    },
    watch: (path, resourceVersion) =>
      openWatch({ url: `${server}${path}`, dispatcher, authorization, resourceVersion }),
    as: (other) => clientOf(connection, { ...who, ...other }),
  }
  return client
}

async function apply(client: KubeClient, who: KubeIdentity, object: KubeObject): Promise<KubeObject> {
  const query = new URLSearchParams({ ...sent(who), fieldValidation: 'Strict' })
  const path = `${await client.path(object)}?${query.toString()}`
  const answer = await client.request('PATCH', path, object, 'application/apply-patch+yaml')
  if (answer.status >= 300) throw new KubeRefusal(`${object.kind} ${object.metadata.name}`, answer as never)
  return answer.body
}

const sent = ({ fieldManager, force }: KubeIdentity): Record<string, string> => ({ fieldManager, force: String(force) })

function objects(manifest: string | object): readonly KubeObject[] {
  if (typeof manifest !== 'string') return [manifest as KubeObject]
  return parseAllDocuments(manifest).flatMap((document) => {
    const [fault] = document.errors
    if (fault !== undefined) throw fault
    const object = document.toJS() as KubeObject | null
    return object === null ? [] : [object]
  })
}

/** Most answers are JSON; `/readyz` and a server that is shutting down speak plainly. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return { message: text }
  }
}

async function pathOf(connection: Connection, client: KubeClient, object: KubeReference): Promise<string> {
  const { plural, namespaced } = await resourceOf(connection, client, object)
  const { name, namespace = 'default' } = object.metadata ?? {}
  const collection = `${groupPath(object.apiVersion)}${namespaced ? `/namespaces/${namespace}` : ''}/${plural}`
  return name === undefined ? collection : `${collection}/${name}`
}

const groupPath = (apiVersion: string): string =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`

interface ResourceList {
  readonly resources?: readonly { readonly kind: string; readonly name: string; readonly namespaced: boolean }[]
}

async function resourceOf(
  { resources }: Connection,
  client: KubeClient,
  { apiVersion, kind }: KubeReference,
): Promise<Resource> {
  const key = `${apiVersion} ${kind}`
  // A definition is established a moment before its group is listed.
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const known = resources.get(key)
    if (known !== undefined) return known
    if (attempt > 0) await new Promise((done) => setTimeout(done, 100))
    const { body } = await client.request<ResourceList>('GET', groupPath(apiVersion))
    for (const one of body.resources ?? [])
      if (!one.name.includes('/'))
        resources.set(`${apiVersion} ${one.kind}`, { plural: one.name, namespaced: one.namespaced })
  }
  throw new Error(`the API server has no kind ${kind} in ${apiVersion}`)
}

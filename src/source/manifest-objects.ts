import { isFields } from '../model/fields.ts'
import type { Fields } from '../model/fields.ts'
import { fault } from '../model/result.ts'
import type { Path, Problem } from '../model/result.ts'
import { meantKind } from '../policy/kinds.ts'
import { unknownKind } from '../policy/manifest.ts'
import type { Manifest } from '../policy/manifest.ts'

/** What a file or a part of it holds. */
export interface Objects {
  readonly manifests: readonly Manifest[]
  readonly problems: readonly Problem[]
}

/** Plain data from a file, and where its lines are. */
export interface Part {
  readonly file: string
  readonly object: unknown
  /** Line of what stands at a path of the whole document. */
  readonly line: (path: Path) => number | undefined
  /** Where the object is in the document: an item of a list, or all of it. */
  readonly prefix: Path
}

/** Takes plain data as a Kubernetes-style object, or as a list of them. */
export function readObject(part: Part): Objects {
  const { object } = part
  if (!isFields(object)) return refuse(part, [], 'is not an object with apiVersion, kind and metadata', rest(part))
  const { apiVersion, kind, metadata, items } = object
  if (typeof kind !== 'string') return refuse(part, ['kind'], 'has no kind', rest(part))
  const known = isFields(metadata) ? metadata : {}
  if (kind === 'AuthPolicy') return readPolicy(part, { apiVersion, ...known })
  if (typeof apiVersion !== 'string') return refuse(part, ['apiVersion'], `this ${kind} has no apiVersion`, rest(part))
  if (kind.endsWith('List') && Array.isArray(items)) return readList(part, { apiVersion, kind, items })
  return readNamed(part, { apiVersion, kind, metadata: known })
}

interface Named {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Fields
}

function readNamed(part: Part, { apiVersion, kind, metadata }: Named): Objects {
  const { name, namespace = 'default' } = metadata
  if (!isName(name, 253)) {
    return refuse(part, ['metadata', 'name'], `this ${kind} has no name that Kubernetes would take`, rest(part))
  }
  if (!isName(namespace, 63)) {
    const say = `${kind} ${name} has a namespace that Kubernetes would not take`
    return refuse(part, ['metadata', 'namespace'], say, rest(part))
  }
  const { file, object } = part
  if (meantKind(kind) !== undefined && !hasSpec(part)) return refuse(part, [], `this ${kind} has no spec`, rest(part))
  return { manifests: [{ file, apiVersion, kind, namespace, name, object, line: within(part) }], problems: [] }
}

interface List {
  readonly apiVersion: string
  readonly kind: string
  readonly items: readonly unknown[]
}

/** A `List` holds objects of any kind; an `HTTPRouteList` those of one, which need not say it again. */
function readList(part: Part, { apiVersion, kind, items }: List): Objects {
  const implied = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -4) }
  const parts = items.map((item, index) => {
    const object = isFields(item) ? { ...implied, ...item } : item
    return readObject({ ...part, prefix: [...part.prefix, 'items', index], object })
  })
  return {
    manifests: parts.flatMap(({ manifests }) => manifests),
    problems: parts.flatMap(({ problems }) => problems),
  }
}

interface PolicyHead {
  readonly apiVersion?: unknown
  readonly name?: unknown
  readonly namespace?: unknown
}

/**
 * An AuthPolicy is passed on whatever is wrong with its name: the compiler refuses what it is for. One that was left out would
 * leave its rules to a less specific policy.
 */
function anyPolicy(part: Part, { apiVersion, name }: PolicyHead, namespace: string): Manifest {
  const line = within(part)
  return {
    file: part.file,
    apiVersion: typeof apiVersion === 'string' ? apiVersion : '',
    kind: 'AuthPolicy',
    namespace,
    name: typeof name === 'string' ? name : `(line ${line([])})`,
    object: part.object,
    line,
  }
}

function readPolicy(part: Part, head: PolicyHead): Objects {
  const { namespace = 'default' } = head
  if (!isName(namespace, 63)) {
    const say = 'this AuthPolicy has a namespace that Kubernetes would not take'
    return refuse(part, ['metadata', 'namespace'], say, rest(part))
  }
  if (!hasSpec(part)) return refuse(part, [], 'this AuthPolicy has no spec', rest(part))
  return { manifests: [anyPolicy(part, head, namespace)], problems: [] }
}

/** What stands for an object that cannot be read: the object that it is for certain, or one that may be anything. */
function rest(part: Part): readonly Manifest[] {
  const { object } = part
  if (!isFields(object)) return [unknownObject(part, '')]
  const { kind } = object
  if (typeof kind !== 'string') return mayBeObject(object) ? [unknownObject(part, placeOf(object))] : []
  const meant = meantKind(kind)
  if (meant !== undefined) return [unreadable(part, meant, object)]
  return holdsItems(object) ? [unknownObject(part, '')] : []
}

function unreadable(part: Part, kind: string, object: Fields): Manifest {
  const { name } = metadataOf(object)
  const namespace = placeOf(object)
  if (namespace === '' || !isName(name, 253)) return unknownObject(part, namespace)
  return { file: part.file, apiVersion: '', kind, namespace, name, object, line: within(part), broken: true }
}

/** The namespace, or nothing: what breaks off before its spec may have lost its namespace too. */
function placeOf(object: Fields): string {
  const { name, namespace } = metadataOf(object)
  if (namespace === undefined) return isName(name, 253) && 'spec' in object ? 'default' : ''
  return isName(namespace, 63) ? namespace : ''
}

const metadataOf = ({ metadata }: Fields): Fields => (isFields(metadata) ? metadata : {})

/** Something in a file of which nobody knows what it is, nor of which namespace where that is empty. */
export const unknownObject = (part: Part, namespace: string): Manifest => ({
  file: part.file,
  apiVersion: '',
  kind: unknownKind,
  namespace,
  name: '',
  object: {},
  line: within(part),
  broken: true,
})

const hasSpec = ({ object }: Part): boolean => isFields(object) && 'spec' in object

/** A list has no name, and what is in it is not known. */
const holdsItems = (object: Fields): boolean => 'items' in object || String(object['kind']).endsWith('List')

/** Other YAML that lies about, like the values of a chart, is not ours. */
const mayBeObject = (object: Fields): boolean =>
  ['apiVersion', 'kind', 'metadata', 'spec', 'items'].some((key) => key in object)

/**
 * What is left of a document whose text is broken: an AuthPolicy claims its namespace, an HTTPRoute or Gateway its name, and none
 * can ever be valid. What could be read of it is only believed where the mistake cannot have eaten another object.
 */
export function brokenObjects(part: Part, text: string): readonly Manifest[] {
  const { spec: _, ...object } = isFields(part.object) ? part.object : {}
  const { apiVersion, kind, metadata } = object
  const eaten = /\n---/.test(text) || (text.match(/^kind\s*:/gm)?.length ?? 0) > 1
  if (eaten) return [unknownObject(part, '')]
  const namespace = placeOf(object)
  if (typeof kind !== 'string') return [unknownObject(part, namespace)]
  if (kind !== 'AuthPolicy' || namespace === '') return rest({ ...part, object })
  const bare = { ...part, object: { apiVersion, kind, metadata } }
  return [anyPolicy(bare, { ...metadataOf(object), apiVersion }, namespace)]
}

const within =
  ({ line, prefix }: Part): Part['line'] =>
  (path) =>
    line([...prefix, ...path])

function refuse(part: Part, path: Path, say: string, manifests: readonly Manifest[]): Objects {
  const line = within(part)(path)
  const problem: Problem = {
    ...fault('bad-document', path, say),
    file: part.file,
    ...(line === undefined ? {} : { line }),
  }
  return { manifests, problems: [problem] }
}

/** RFC 1123: no slash and no space, so that `namespace/name` names one object only. */
const isName = (text: unknown, limit: number): text is string =>
  typeof text === 'string' && text.length <= limit && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text)

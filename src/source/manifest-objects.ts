import { fault } from '../model/result.ts'
import type { Path, Problem } from '../model/result.ts'
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

type Fields = Readonly<Record<string, unknown>>

/** Takes plain data as a Kubernetes-style object, or as a list of them. */
export function readObject(part: Part): Objects {
  const { object } = part
  if (!isFields(object)) return refuse(part, [], 'is not an object with apiVersion, kind and metadata')
  const { apiVersion, kind, metadata, items } = object
  if (typeof kind !== 'string') return refuse(part, ['kind'], 'has no kind')
  const known = isFields(metadata) ? metadata : {}
  if (kind === 'AuthPolicy') return { manifests: [anyPolicy(part, { apiVersion, ...known })], problems: [] }
  if (typeof apiVersion !== 'string') return refuse(part, ['apiVersion'], `this ${kind} has no apiVersion`)
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
  if (typeof name !== 'string' || !isName(name, 253)) {
    return refuse(part, ['metadata', 'name'], `this ${kind} has no name that Kubernetes would take`)
  }
  if (typeof namespace !== 'string' || !isName(namespace, 63)) {
    return refuse(part, ['metadata', 'namespace'], `${kind} ${name} has a namespace that Kubernetes would not take`)
  }
  const { file, object } = part
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
function anyPolicy(part: Part, { apiVersion, name, namespace = 'default' }: PolicyHead): Manifest {
  const line = within(part)
  return {
    file: part.file,
    apiVersion: typeof apiVersion === 'string' ? apiVersion : '',
    kind: 'AuthPolicy',
    namespace: typeof namespace === 'string' ? namespace : JSON.stringify(namespace),
    name: typeof name === 'string' ? name : `(line ${line([])})`,
    object: part.object,
    line,
  }
}

/** What is left of an AuthPolicy whose text is broken: it claims its namespace and can never be valid. */
export function brokenPolicy(part: Part): readonly Manifest[] {
  const { object } = part
  if (!isFields(object) || object['kind'] !== 'AuthPolicy') return []
  const { apiVersion, kind, metadata } = object
  const head = { ...(isFields(metadata) ? metadata : {}), apiVersion }
  return [anyPolicy({ ...part, object: { apiVersion, kind, metadata } }, head)]
}

const within =
  ({ line, prefix }: Part): Part['line'] =>
  (path) =>
    line([...prefix, ...path])

function refuse(part: Part, path: Path, say: string): Objects {
  const line = within(part)(path)
  const problem: Problem = {
    ...fault('bad-document', path, say),
    file: part.file,
    ...(line === undefined ? {} : { line }),
  }
  return { manifests: [], problems: [problem] }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** RFC 1123: no slash and no space, so that `namespace/name` names one object only. */
const isName = (text: string, limit: number): boolean =>
  text.length <= limit && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text)

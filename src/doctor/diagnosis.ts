import { stringify } from 'yaml'
import { fault, showPath } from '../model/result.ts'
import type { Finding, Path, ProblemCode, Severity } from '../model/result.ts'
import { showRoute } from '../model/route.ts'
import type { RouteKey } from '../model/route.ts'
import { showObject } from '../policy/manifest.ts'
import type { Manifest } from '../policy/manifest.ts'

/** Something wrong in how gateways, routes and Gatehouse are wired together. */
export interface Diagnosis extends Finding {
  /** The object that has to be changed, or that shows what is wrong. */
  readonly object: Manifest
  /** The rule that it is about; absent where it is about an object that serves many. */
  readonly key?: RouteKey
  /** `namespace/name` of the Gateways that it is about; absent where it is about all that serve the rule. */
  readonly gateways?: readonly string[]
  /** What mends it, as data: only what is shown is turned into YAML. */
  readonly fix?: Fix
}

/**
 * `edit`: values to put at places of the diagnosed object. `apply`: further objects that have to exist, and what then changes. `setting`: an argument for
 * Gatehouse itself, in the Deployment of this name.
 */
export type Fix =
  | { readonly kind: 'edit'; readonly changes: readonly Change[] }
  | { readonly kind: 'apply'; readonly objects: readonly object[]; readonly changes?: readonly Change[] }
  | { readonly kind: 'setting'; readonly deployment: Named; readonly argument: string }

/** What names an object. */
type Named = Pick<Manifest, 'kind' | 'namespace' | 'name'>

/** One value and where it goes. */
export interface Change {
  /** Absent where it is the diagnosed object. */
  readonly object?: Named
  readonly path: Path
  readonly value: unknown
}

/** What a diagnosis says, apart from where. */
export interface Said {
  readonly code: ProblemCode
  readonly severity: Severity
  readonly path: Path
  readonly say: string
  readonly mend: string
  readonly gateways?: readonly string[]
  readonly fix?: Fix
}

/** A diagnosis of an object, about one of its rules where a key is given. */
export const diagnosis = (object: Manifest, said: Said, key?: RouteKey): Diagnosis => ({
  ...fault(said.code, said.path, said.say, said.mend),
  severity: said.severity,
  object,
  ...(key === undefined ? {} : { key }),
  ...(said.gateways === undefined ? {} : { gateways: said.gateways }),
  ...(said.fix === undefined ? {} : { fix: said.fix }),
})

/** A fix that puts one value in one place. */
export const edit = (path: Path, value: unknown): Fix => ({ kind: 'edit', changes: [{ path, value }] })

/** The argument in the Deployment of our Service, which `deploy/` names alike; undefined in a directory, which tells of none. */
export const setting = (us: Pick<Manifest, 'namespace' | 'name'> | undefined, argument: string): Fix | undefined =>
  us && { kind: 'setting', deployment: { kind: 'Deployment', namespace: us.namespace, name: us.name }, argument }

/** A fix where there is one. */
export const fixedBy = (fix: Fix | undefined): { readonly fix?: Fix } => (fix === undefined ? {} : { fix })

/** The YAML that mends it, each piece under a comment that says where it goes; undefined where no YAML would. */
export function showFix({ fix, object }: Diagnosis): string | undefined {
  if (fix === undefined) return undefined
  const yaml = (value: unknown): string => stringify(value, { lineWidth: 0, flowCollectionPadding: true })
  const shown = ({ object: other, path, value }: Change): string => {
    const [last] = path.slice(-1)
    const piece = typeof last === 'string' ? { [last]: value } : [value]
    return `# ${showObject(other ?? object)}: ${showPath(path)}\n${yaml(piece)}`
  }
  switch (fix.kind) {
    case 'edit':
      return fix.changes.map(shown).join('')
    case 'setting':
      return `# ${showObject(fix.deployment)}: add to spec.template.spec.containers[0].args\n${yaml([fix.argument])}`
    case 'apply':
      return [...fix.objects.map(yaml), ...(fix.changes ?? []).map(shown)].join('---\n')
  }
}

/** `a`, `a and b`, `a, b and c`, or the first eight and how many more. */
export function listed(words: readonly string[]): string {
  const shown = words.slice(0, 8).map((word) => clipped(word))
  const rest = words.length - shown.length
  const all = rest > 0 ? [...shown, `${rest} more`] : shown
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`
}

/** A stranger's text, short enough and plain enough for a sentence. */
export const clipped = (text: string, limit = 100): string => {
  const plain = text.slice(0, limit).replaceAll(/[^\x20-\x7e]/g, '?')
  return text.length > limit ? `${plain}…` : plain
}

/** A rule as sentences name it. Names of the length that Kubernetes takes stay whole. */
export const ruleNamed = (key: RouteKey): string => clipped(showRoute(key), 600)

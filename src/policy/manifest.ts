import type { Finding, Path, Problem } from '../model/result.ts'

/** One object as a source read it: its coordinates, its content as plain JSON, and how to find a place in it again. */
export interface Manifest {
  /** Path relative to the policy directory; absent where it did not come from a file. */
  readonly file?: string
  readonly apiVersion: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly object: unknown
  /** True where its source has told why it cannot be used: only what it may be for counts. */
  readonly broken?: true
  /** Line in the file (from 1) of what stands at a path, or of its nearest parent. */
  readonly line: (path: Path) => number | undefined
}

/** `AuthPolicy shop/cart`, `GatewayClass edge`: how problems name an object. */
export const showObject = ({ kind, namespace, name }: Pick<Manifest, 'kind' | 'namespace' | 'name'>): string =>
  namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`

/** The kind of what cannot be read so far: it may be anything. Its namespace is empty where that cannot be read either. */
export const unknownKind = ''

/** A finding and the object that it is about. */
export interface Located {
  readonly manifest: Manifest
  readonly finding: Finding
}

/** Gives a finding the address that an operator can open in an editor. */
export function address(manifest: Manifest, finding: Finding): Problem {
  const line = manifest.line(finding.path)
  return {
    ...finding,
    object: showObject(manifest),
    ...(manifest.file === undefined ? {} : { file: manifest.file }),
    ...(line === undefined ? {} : { line }),
  }
}

/**
 * A request target as the client wrote it (RFC 9112 §3.2), split but never decoded: what was checked is what the backend gets.
 * `ambiguous` says that two servers could read the path differently; who judges by path must refuse it (SECURITY.md E4).
 */
export interface Target {
  /** Exactly the bytes received, as latin-1 text. */
  readonly raw: string
  /** The path, raw, always beginning with `/` (`*` for `OPTIONS *`). */
  readonly path: string
  /** Raw, without `?`; undefined where there is no `?`. */
  readonly query: string | undefined
  /** What makes the path readable in two ways, or undefined. */
  readonly ambiguous: PathAmbiguity | undefined
}

/** Why servers may disagree about a path. */
export type PathAmbiguity =
  | 'dot-segment'
  | 'empty-segment'
  | 'encoded-separator'
  | 'encoded-delimiter'
  | 'backslash'
  | 'double-encoding'
  | 'parameter'
  | 'encoded-letter'
  | 'bad-utf8'

/** No longer target is looked at. Envoy refuses 96 kB of headers by itself. */
export const maxTargetBytes = 32_768
const maxSegments = 1_024

/** Splits an origin-form target; undefined where it is not one, or holds what no client may send raw (400). */
export function parseTarget(raw: string): Target | undefined {
  if (raw.length <= maxSegments && plain.test(raw)) return split(raw, undefined)
  if (raw === '*') return { raw, path: '*', query: undefined, ambiguous: undefined }
  if (!raw.startsWith('/') || raw.length > maxTargetBytes) return undefined
  // RFC 3986 leaves no place for controls, space, non-ASCII or `#` here; WHATWG parsers would drop or rewrite them.
  if (/[^\x21-\x7e]|#/.test(raw)) return undefined
  const { path } = split(raw, undefined)
  if (/%(?![0-9a-fA-F]{2})/.test(path)) return undefined
  if (/%(0[0-9a-f]|1[0-9a-f]|7f)/i.test(path)) return undefined
  if (path.split('/', maxSegments + 2).length > maxSegments + 1) return undefined
  return split(raw, ambiguity(path))
}

/** A target that nobody reads in two ways: no segment is empty or begins with a dot, nothing in the path is encoded. */
const plain = /^\/(?:[\w~-][\w.~-]*\/)*(?:[\w~-][\w.~-]*)?(?:\?[\x21\x22\x24-\x7e]*)?$/

function split(raw: string, ambiguous: PathAmbiguity | undefined): Target {
  const mark = raw.indexOf('?')
  return mark < 0
    ? { raw, path: raw, query: undefined, ambiguous }
    : { raw, path: raw.slice(0, mark), query: raw.slice(mark + 1), ambiguous }
}

/** What to look for, in this order; each is given the path as it is and in lower case. */
const ambiguities: readonly (readonly [PathAmbiguity, (path: string, lower: string) => boolean])[] = [
  ['backslash', (path) => path.includes('\\')],
  ['encoded-separator', (_, lower) => lower.includes('%2f') || lower.includes('%5c')],
  ['double-encoding', (_, lower) => /%25(2e|2f|5c|25|00)/.test(lower) || decodesTwice(lower)],
  ['encoded-delimiter', (_, lower) => lower.includes('%23') || lower.includes('%3f')],
  ['empty-segment', (path) => path.includes('//')],
  ['dot-segment', (_, lower) => lower.replaceAll('%2e', '.').replaceAll('%3b', ';').split('/').some(isDots)],
  ['parameter', (path, lower) => path.includes(';') || lower.includes('%3b')],
  // RFC 3986 §2.3: equal to the character itself, which no client escapes, and which only some servers take it for.
  ['encoded-letter', (_, lower) => /%(?:2[de]|3\d|[46][1-9a-f]|[57][0-9a]|5f|7e)/.test(lower)],
  ['bad-utf8', (path) => !validUtf8(path)],
]

const ambiguity = (path: string): PathAmbiguity | undefined =>
  /^[\w/.~-]*$/.test(path) && !/\/\/|\/\.{1,2}(\/|$)/.test(path)
    ? undefined
    : ambiguities.find(([, found]) => found(path, path.toLowerCase()))?.[0]

/** `.` and `..`, also with parameters: Tomcat takes `..;x` for `..`. */
const isDots = (segment: string): boolean => /^\.{1,2}(;.*)?$/.test(segment)

/** True where one decoding leaves an escape of a dot, slash, backslash, percent or NUL: `%25%32%65` is `%2e`. */
function decodesTwice(lower: string): boolean {
  if (!lower.includes('%25') && !/%(2[0-9]|3[0-9]|6[1-6])/.test(lower)) return false
  const once = lower.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return /%(2e|2f|5c|25|00)/i.test(once)
}

function validUtf8(path: string): boolean {
  if (!path.includes('%')) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** Query parameters, names and values decoded once, in order; undefined past 256 pairs or on a bad escape. */
export function queryPairs(query: string | undefined): readonly (readonly [string, string])[] | undefined {
  try {
    return rawPairs(query)?.map(([name, value]) => [decoded(name), decoded(value)] as const)
  } catch {
    return undefined
  }
}

/** Names of query parameters as they are written that are one of `names` when decoded; undefined as for `queryPairs`. */
export function spellingsInQuery(query: string | undefined, names: ReadonlySet<string>): readonly string[] | undefined {
  try {
    const found = rawPairs(query)?.flatMap(([name]) => (names.has(decoded(name)) ? [name] : []))
    return found && [...new Set(found)]
  } catch {
    return undefined
  }
}

const decoded = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))

const mostPairs = 256

function rawPairs(query: string | undefined): readonly (readonly [string, string])[] | undefined {
  if (query === undefined || query === '') return []
  const parts = query.split('&', mostPairs + 1)
  if (parts.length > mostPairs) return undefined
  return parts
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=')
      return equals < 0 ? ([part, ''] as const) : ([part.slice(0, equals), part.slice(equals + 1)] as const)
    })
}

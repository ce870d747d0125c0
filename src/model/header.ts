import { boundedMemo } from './bounded-memo.ts'

/**
 * Header fields of a request: lower-case names, each with its values in order of arrival. Repeats are kept apart where
 * the wire told them apart (Envoy's header map joins them with `,`). Any `Map` of these is one.
 */
export interface HeaderMap extends Iterable<readonly [name: string, values: readonly string[]]> {
  readonly size: number
  readonly get: (name: string) => readonly string[] | undefined
  readonly has: (name: string) => boolean
  readonly keys: () => Iterable<string>
}

/** RFC 9110 §5.6.2 token. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Fields that frame or route a message: setting one would smuggle or re-route a request (GATEWAYS.md §G.1). */
const framing = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'host',
  'te',
  'trailer',
  'upgrade',
  'keep-alive',
  'proxy-connection',
])

/** Why a policy may not set or remove the header, or undefined where it may. */
export function headerNameFault(name: string): string | undefined {
  if (name.startsWith(':')) return `"${name}" is a pseudo-header`
  if (!token.test(name)) return `"${name}" is not a header name (RFC 9110 §5.1)`
  const lower = name.toLowerCase().replaceAll('_', '-')
  if (framing.has(lower)) return `"${name}" frames or routes the message and may not be changed`
  if (lower.startsWith('x-envoy-')) return `"${name}" belongs to Envoy`
  return undefined
}

/** True where the text can be a header value: no control characters but tab, nothing above U+00FF (RFC 9110 §5.5). */
export const headerValueSafe = (value: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(value)

/** One value, or none, or the fact that there were several. */
export function single(headers: HeaderMap, name: string): string | undefined | typeof repeated {
  const values = headers.get(name)
  if (values === undefined || values.length === 0) return undefined
  return values.length === 1 ? values[0] : repeated
}

/** Stands for a field that may come once and came more often. */
export const repeated: unique symbol = Symbol('repeated')

/**
 * Every name that a backend could take for this one: `-`, `_` and `.` are the same to CGI-style servers (CVE-2025-64484).
 * Names of up to four hyphens give every mixture of the first two and the all-dots form; longer ones the pure forms only.
 */
export function spellings(name: string): readonly string[] {
  const lower = name.toLowerCase()
  const [first = '', ...parts] = lower.split(/[-_.]/)
  const pure = ['-', '_', '.'].map((mark) => [first, ...parts].join(mark))
  const mixed =
    parts.length > 4
      ? []
      : parts.reduce((all, part) => all.flatMap((text) => [`${text}-${part}`, `${text}_${part}`]), [first])
  return [...new Set([lower, ...mixed, ...pure])]
}

/** The form under which all spellings of a name are one. */
export const canonicalName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

/** All spellings of all names: what a rule takes off a request. Rules that own the same names share one set. */
export const ownedSpellings = (names: readonly string[]): ReadonlySet<string> => spellingsOf(names.join('\n'))

const spellingsOf = boundedMemo(
  1000,
  (names: string): ReadonlySet<string> => new Set(names === '' ? [] : names.split('\n').flatMap(spellings)),
)

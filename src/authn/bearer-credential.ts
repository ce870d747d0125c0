import { z } from 'zod'
import type { DenyReason } from '../model/decision.ts'
import { headerNameFault } from '../model/header.ts'
import { memo } from '../model/memo.ts'
import type { AuthRequest } from '../model/request.ts'
import { queryPairs } from '../model/target.ts'

const tokenForm = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** One place where a credential may be: a header (with or without a scheme), a cookie or a query parameter. */
export const credentialSource = z
  .strictObject({
    header: z
      .string()
      .max(128)
      .refine((name) => headerNameFault(name) === undefined, 'is not a header that can carry a credential')
      .optional()
      .describe('Request header that carries the credential.'),
    scheme: z
      .string()
      .max(64)
      .regex(tokenForm, 'is not an authentication scheme')
      .optional()
      .describe('Word before the credential in the header, in any case, e.g. Bearer. Without it: the whole value.'),
    cookie: z
      .string()
      .max(128)
      .regex(tokenForm, 'is not a cookie name')
      .optional()
      .describe('Cookie that carries the credential.'),
    query: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .describe('Query parameter that carries the credential. It ends up in the logs of others (RFC 9700).'),
  })
  .refine(
    ({ header, cookie, query }) => [header, cookie, query].filter((one) => one !== undefined).length === 1,
    'has exactly one of header, cookie, query',
  )
  .refine(({ header, scheme }) => scheme === undefined || header !== undefined, 'has a scheme only with a header')
export type CredentialSource = z.infer<typeof credentialSource>

/** The places of one method; more than one filled at once is a refusal (RFC 6750 §2). */
export const credentialSources = z
  .array(credentialSource)
  .min(1)
  .max(8)
  .describe('Where the credential may be. Nowhere else is looked; two places filled at once are refused.')

export const bearerHeader: readonly CredentialSource[] = [{ header: 'Authorization', scheme: 'Bearer' }]

/** What one request carries for a method; the text is bounded by the header limits only. */
export type Presented =
  | { readonly kind: 'absent' }
  | { readonly kind: 'credential'; readonly text: string }
  | { readonly kind: 'refused'; readonly reason: DenyReason }

export interface CredentialReader {
  /** A text of visible ASCII (RFC 6750 §2.1 has fewer characters yet), or a refusal. */
  readonly read: (request: AuthRequest) => Presented
  /** The same with whatever text there is: for methods that know a text which they examined before. */
  readonly find: (request: AuthRequest) => Presented
  /** True where one of the places holds anything at all, also under another scheme. */
  readonly presented: (request: AuthRequest) => boolean
  /** Lower-case names of the headers that are read. */
  readonly reads: readonly string[]
}

const absent: Presented = { kind: 'absent' }
const malformed: Presented = { kind: 'refused', reason: 'malformed-credential' }
const repeatedly: Presented = { kind: 'refused', reason: 'repeated-credential' }

interface Place {
  readonly read: (request: AuthRequest) => Presented
  readonly filled: (request: AuthRequest) => boolean
  readonly header: string | undefined
}

/** Makes the one reader of a method's credential out of the places that its policy names; methods that share these share it. */
export const credentialReader = memo((sources: readonly CredentialSource[]): CredentialReader => {
  const places = sources.map(placeOf)
  const find = (request: AuthRequest): Presented => {
    let found: Presented = absent
    for (const place of places) {
      const here = place.read(request)
      if (here.kind === 'absent') continue
      if (here.kind === 'refused') return here
      if (found.kind !== 'absent') return repeatedly
      found = here
    }
    return found
  }
  return {
    find,
    read: (request) => {
      const found = find(request)
      return found.kind === 'credential' && !/^[\x21-\x7e]+$/.test(found.text) ? malformed : found
    },
    presented: (request) => places.some((place) => place.filled(request)),
    reads: [...new Set(places.flatMap((place) => place.header ?? []))],
  }
})

function placeOf({ header, scheme, cookie, query }: CredentialSource): Place {
  if (cookie !== undefined) return cookiePlace(cookie)
  if (query !== undefined) return queryPlace(query)
  return headerPlace(header?.toLowerCase() ?? 'authorization', scheme?.toLowerCase())
}

function headerPlace(header: string, scheme: string | undefined): Place {
  return {
    header,
    filled: (request) => request.headers.has(header),
    read: ({ headers }) => {
      const values = headers.get(header)
      const value = values?.[0]
      if (values === undefined || value === undefined) return absent
      if (values.length > 1) return repeatedly
      return scheme === undefined ? single(trimmed(value)) : schemed(trimmed(value), scheme)
    },
  }
}

/** RFC 9110 §11.4: a case-insensitive scheme, one or more spaces, the credential; another scheme is not ours. */
function schemed(value: string, scheme: string): Presented {
  const end = value.search(/[ \t,]/)
  const name = end < 0 ? value : value.slice(0, end)
  if (name.toLowerCase() !== scheme) return absent
  // RFC 6750 §2.1 has exactly one space and a b64token; more than that is another reader's choice.
  return end < 0 || value[end] !== ' ' ? malformed : single(value.slice(end + 1))
}

const single = (text: string): Presented => ({ kind: 'credential', text })

/** Without the white space around it (RFC 9110 §5.5). No regex: `[ \\t]+$` takes time by the square of the blanks inside. */
function trimmed(value: string): string {
  let begin = 0
  let end = value.length
  while (begin < end && isBlank(value[begin])) begin++
  while (end > begin && isBlank(value[end - 1])) end--
  return begin === 0 && end === value.length ? value : value.slice(begin, end)
}

const isBlank = (char: string | undefined): boolean => char === ' ' || char === '\t'

function cookiePlace(name: string): Place {
  const values = ({ headers }: AuthRequest): readonly string[] => {
    const lines = headers.get('cookie')
    // RFC 9113 §8.2.3: HTTP/2 may split the field; the crumbs are one list.
    return lines === undefined ? [] : cookieValues(lines.join(';'), name)
  }
  return {
    header: 'cookie',
    filled: (request) => values(request).length > 0,
    read: (request) => oneOf(values(request)),
  }
}

function cookieValues(line: string, name: string): readonly string[] {
  if (!line.includes(name)) return []
  const values = named(line.split(';'), name)
  // Envoy joins Cookie lines with a comma, which no cookie value may hold (RFC 6265 §4.1.1): the backend may see one more.
  const all = line.includes(',') ? named(line.split(/[;,]/), name) : values
  return all.length === values.length ? values : all
}

const named = (pairs: readonly string[], name: string): readonly string[] =>
  pairs.flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals > 0 && trimmed(pair.slice(0, equals)) === name ? [trimmed(pair.slice(equals + 1))] : []
  })

function queryPlace(name: string): Place {
  const values = (request: AuthRequest): readonly string[] | undefined =>
    queryPairs(request.target.query)?.flatMap(([key, value]) => (key === name ? [value] : []))
  return {
    header: undefined,
    filled: (request) => values(request)?.length !== 0,
    // A query that cannot be read may hold a credential: it is no sign of a guest.
    read: (request) => {
      const found = values(request)
      return found === undefined ? malformed : oneOf(found)
    },
  }
}

function oneOf([value, ...more]: readonly string[]): Presented {
  if (value === undefined) return absent
  return more.length > 0 ? repeatedly : single(value)
}

import type { HeaderMap } from '../../model/header.ts'
import { fromRaw, fromWire } from './wire-text.ts'

/** The two encodings of a request's headers, of which Envoy fills one (`encode_raw_headers` chooses). */
export interface WireHeaders {
  readonly headers?: Readonly<Record<string, string>>
  readonly header_map?: { readonly headers?: readonly WireHeader[] }
}

interface WireHeader {
  readonly key?: string
  readonly value?: string
  readonly raw_value?: Uint8Array
}

/** The headers of a check, whichever way they came; undefined where both ways came and differ. */
export function checkHeaders(http: WireHeaders): HeaderMap | undefined {
  const joined = fold(Object.entries(http.headers ?? {}).map(([name, value]) => [name, fromWire(value)]))
  const list = http.header_map?.headers ?? []
  if (list.length === 0) return joined
  const raw = fold(list.map((header) => [header.key ?? '', rawValue(header)]))
  return joined.size === 0 || same(joined, raw) ? raw : undefined
}

const rawValue = ({ value, raw_value: raw }: WireHeader): string =>
  raw !== undefined && raw.length > 0 ? fromRaw(raw) : fromWire(value ?? '')

/**
 * Lower-case names, repeats joined with `,` as Envoy's map has them already: who joins both encodings judges both alike.
 * Pseudo-headers are left out: `allowed_headers` removes them, so the fields of the check are what counts (GATEWAYS.md §G.2).
 */
function fold(pairs: readonly (readonly [string, string])[]): HeaderMap {
  const all = new Map<string, readonly [string]>()
  for (const [written, value] of pairs) {
    const name = written.toLowerCase()
    if (name === '' || name.startsWith(':')) continue
    const before = all.get(name)
    all.set(name, [before === undefined ? value : `${before[0]},${value}`])
  }
  return all
}

const same = (one: HeaderMap, other: HeaderMap): boolean =>
  one.size === other.size && [...one].every(([name, [value]]) => other.get(name)?.[0] === value)

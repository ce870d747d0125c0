import type { HeaderMap } from '../../model/header.ts'

/** A header as the wire has it: the name as written, the value as latin-1 text. */
export type WireHeader = readonly [name: string, value: string]

/**
 * The headers of a check, whichever of Envoy's two encodings it fills (`encode_raw_headers` chooses); undefined where both are
 * filled and differ.
 */
export function checkHeaders(joined: Iterable<WireHeader>, raw: readonly WireHeader[]): HeaderMap | undefined {
  const one = fold(joined)
  if (raw.length === 0) return one
  const other = fold(raw)
  return one.size === 0 || same(one, other) ? other : undefined
}

/**
 * Lower-case names, repeats joined with `,` as Envoy's map has them already: who joins both encodings judges both alike.
 * Pseudo-headers are left out: `allowed_headers` removes them, so the fields of the check are what counts (GATEWAYS.md §G.2).
 */
function fold(pairs: Iterable<WireHeader>): HeaderMap {
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

import { boundedMemo } from './bounded-memo.ts'

/** Host and port of a request, host in the one form that rules are compared with. */
export interface Authority {
  /** Lower case, without port and trailing dot; IPv6 literals keep their brackets. */
  readonly host: string
  readonly port: number | undefined
  /** True where the name ended with a dot, which gateways cut off (nginx) or match as it is (Envoy). */
  readonly rooted: boolean
}

const name = /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/

/**
 * Reads `Host` / `:authority` (RFC 9110 §7.2). Undefined for anything that two readers could take for two hosts: user
 * info, a comma (Envoy joins two Host headers with one), spaces, controls, non-ASCII, over 255 characters.
 */
export const parseAuthority = (text: string): Authority | undefined =>
  text.length <= longest ? known(text) : undefined

/** A name of 254 characters, a colon and a port. */
const longest = 260

const known = boundedMemo(1_024, parse)

function parse(text: string): Authority | undefined {
  const match = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::([0-9]{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const [, written = '', digits] = match
  const port = digits === undefined ? undefined : Number(digits)
  if (port !== undefined && port > 65_535) return undefined
  const host = written.toLowerCase().replace(/\.$/, '')
  return host.startsWith('[') || (host.length <= 253 && name.test(host))
    ? { host, port, rooted: written.endsWith('.') }
    : undefined
}

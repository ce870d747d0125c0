import { isIP } from 'node:net'
import { boundedMemo } from '../../model/bounded-memo.ts'
import { plainAddress } from '../trusted-sources.ts'
import type { Ask } from './dialect.ts'

/**
 * The client's address: the last hop of `X-Forwarded-For` where a trusted peer wrote it, because that is the one it saw itself. A
 * peer that tells none, or is not believed, leaves it unknown: its own address would stand for everybody behind it.
 */
export function clientAddress({ headers, trusted }: Ask): string | undefined {
  if (!trusted) return undefined
  const line = headers.get('x-forwarded-for')?.at(-1)
  const hop = line?.slice(line.lastIndexOf(',') + 1)
  return hop === undefined || hop.length > longest ? undefined : lastHop(hop)
}

/** No address with a port is longer, and what is remembered has a bound. */
const longest = 64

const lastHop = boundedMemo(4096, (text) => {
  const hop = text.trim()
  const address = plainAddress(/^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop)
  return isIP(address) === 0 ? undefined : address
})

/** The client's scheme where a trusted peer tells it; a WebSocket is opened by a request like any other. */
export function clientScheme({ headers, trusted }: Ask): string | undefined {
  const [told, ...more] = trusted ? (headers.get('x-forwarded-proto') ?? []) : []
  if (told === undefined || more.length > 0) return undefined
  return told === 'wss' ? 'https' : told === 'ws' ? 'http' : told
}

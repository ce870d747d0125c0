import { isIP } from 'node:net'
import { plainAddress } from '../trusted-sources.ts'
import type { Ask } from './dialect.ts'

/**
 * The client's address: the last hop of `X-Forwarded-For` where a trusted peer wrote it, because that is the one it saw itself. A
 * peer that tells none, or is not believed, leaves it unknown: its own address would stand for everybody behind it.
 */
export function clientAddress({ headers, trusted }: Ask): string | undefined {
  if (!trusted) return undefined
  const last = headers.get('x-forwarded-for')?.at(-1)?.split(',').at(-1)?.trim()
  if (last === undefined) return undefined
  const address = plainAddress(/^\[(.+)\](?::\d+)?$/.exec(last)?.[1] ?? /^([\d.]+):\d+$/.exec(last)?.[1] ?? last)
  return isIP(address) === 0 ? undefined : address
}

/** The client's scheme where a trusted peer tells it; a WebSocket is opened by a request like any other. */
export function clientScheme({ headers, trusted }: Ask): string | undefined {
  const [told, ...more] = trusted ? (headers.get('x-forwarded-proto') ?? []) : []
  if (told === undefined || more.length > 0) return undefined
  return told === 'wss' ? 'https' : told === 'ws' ? 'http' : told
}

import { InvalidArgumentError } from 'commander'
import { trustedSources } from './transport/trusted-sources.ts'

/** Where a listener listens, or that it does not. Port 0 asks the system for a free one. */
export type Listen = { readonly kind: 'off' } | { readonly kind: 'on'; readonly host: string; readonly port: number }

/** True for a place to listen at. */
export const isListen = (value: unknown): value is Listen =>
  typeof value === 'object' && value !== null && 'kind' in value

/** `0.0.0.0:9001`, `[::]:9001` or `off`. */
export const showListen = (listen: Listen): string =>
  listen.kind === 'off'
    ? 'off'
    : listen.host.includes(':')
      ? `[${listen.host}]:${listen.port}`
      : `${listen.host}:${listen.port}`

/** A place to listen at. */
export function on(host: string, port: number): Listen {
  return { kind: 'on', host, port }
}

/** `host:port`, `:port` for all addresses, or `off`. */
export function listen(given: string): Listen {
  if (given === 'off') return { kind: 'off' }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):(\d{1,5})$/.exec(given)
  const port = Number(match?.[3])
  if (match === null || port > 65_535)
    throw new InvalidArgumentError('Write host:port, such as 127.0.0.1:9001, or "off".')
  return on(match[1] ?? (match[2] === '' ? '0.0.0.0' : (match[2] ?? '0.0.0.0')), port)
}

/** Any text. */
export function text(given: string): string | undefined {
  return given
}

/** A list parted by commas. */
export function list(given: string): string[] {
  return given
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

/** Addresses and blocks of them, parted by commas: a slip is told here and not first by the listener that would use them. */
export function blocks(given: string): string[] {
  const all = list(given)
  try {
    trustedSources(all)
  } catch (cause) {
    const say = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidArgumentError(`${say.replace(/^--trusted-proxies: /, '')}.`)
  }
  return all
}

/** A whole number within bounds; `why` is a sentence about them. */
export function whole(least: number, most: number, why = ''): (given: string) => number {
  return (given) => {
    const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN
    if (!(value >= least && value <= most))
      throw new InvalidArgumentError(`Write a whole number from ${least} to ${most}.${why === '' ? '' : ` ${why}`}`)
    return value
  }
}

/** A switch; from the environment `false` turns it off. */
export function yes(given: string): boolean {
  return given !== 'false'
}

/** One of a few words. */
export function oneOf<const T extends string>(...allowed: readonly T[]): (given: string) => T {
  return (given) => {
    const found = allowed.find((one) => one === given)
    if (found === undefined) throw new InvalidArgumentError(`Write one of ${allowed.join(', ')}.`)
    return found
  }
}

/** An object of a namespace. */
export interface ObjectName {
  readonly namespace: string
  readonly name: string
}

/** True for the name of an object. */
export const isObjectName = (value: unknown): value is ObjectName =>
  typeof value === 'object' && value !== null && 'namespace' in value

/** `namespace/name`. */
export function objectName(given: string): ObjectName {
  const [, namespace, name] = /^([a-z0-9][-a-z0-9]{0,62})\/([a-z0-9][-a-z0-9.]{0,252})$/.exec(given) ?? []
  if (namespace === undefined || name === undefined) {
    throw new InvalidArgumentError('Write namespace/name, such as gatehouse/gatehouse.')
  }
  return { namespace, name }
}

/** Names of namespaces, at least one. */
export function names(given: string): string[] | undefined {
  const all = list(given)
  if (all.length > 0 && all.every((one) => /^[a-z0-9][-a-z0-9]{0,62}$/.test(one))) return all
  throw new InvalidArgumentError('Write names of namespaces, such as shop,museum.')
}

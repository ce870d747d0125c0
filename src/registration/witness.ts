import { isIP } from 'node:net'
import type { World } from '../cluster/objects.ts'

/**
 * Who sent a check, as far as it is known; what proves more is first. `certificate`: it showed a client certificate that we ask
 * for. `gateway`: it came from an address that a Gateway has. `somebody`: from elsewhere, or nobody can tell. `local`: from this
 * very machine, where no Gateway is: `kubectl port-forward`, which proves nothing of a gateway.
 */
export const witnesses = ['certificate', 'gateway', 'somebody', 'local'] as const

export type Witness = (typeof witnesses)[number]

/** What can be known of callers beside the check itself. */
export interface Callers {
  /** Every caller has to show a certificate (`--tls-client-ca`). */
  readonly certificates: boolean
  /** Whose forwarded headers are believed: this machine's only, or others' too (`--trusted-proxies`). */
  readonly proxies: 'loopback' | 'others'
  /** Addresses that Gateways have. */
  readonly gateways: ReadonlySet<string>
}

/** What a check tells of its way here; the address of the connection itself is not on record. */
export interface Arrival {
  /** `claimed`: over gRPC, where `source` is the gateway's word for its client. `told`: in a dialect that only trusted callers may speak. */
  readonly by: 'claimed' | 'told' | 'request'
  /** The client as far as a trusted caller told it, else the caller; undefined where a trusted caller told none. */
  readonly source: string | undefined
  /** It has an `X-Forwarded-For`, so that `source` may be what a trusted caller told. */
  readonly forwarded: boolean
}

/** Decides what a check is evidence of. */
export function witnessOf(arrival: Arrival, { certificates, proxies, gateways }: Callers): Witness {
  if (certificates) return 'certificate'
  const caller = callerOf(arrival, proxies)
  if (caller === undefined) return 'somebody'
  if (gateways.has(caller.address)) return 'gateway'
  return caller.address === loopback && caller.sure ? 'local' : 'somebody'
}

// Stands for every loopback address: a packet from one of them may be from any.
const loopback = 'loopback'

/** The address that a check came from, as far as it shows. */
function callerOf(
  { by, source, forwarded }: Arrival,
  proxies: Callers['proxies'],
): { readonly address: string; readonly sure: boolean } | undefined {
  if (by === 'claimed') return undefined
  if (source !== undefined && isLoopback(source)) return { address: loopback, sure: true }
  const trusted = by === 'told' || source === undefined
  if (!trusted && !forwarded) return { address: source, sure: true }
  // What was forwarded, a trusted caller told, or it is the caller's own address.
  return proxies === 'loopback' ? { address: loopback, sure: trusted } : undefined
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

/** The addresses of all Gateways, as `Callers` has them. */
export const gatewayAddresses = (world: World): ReadonlySet<string> =>
  new Set(
    world
      .of('Gateway')
      .flatMap(({ object }) => object.status.addresses)
      .filter(({ value }) => isIP(value) !== 0)
      .map(({ value }) => (isLoopback(value) ? loopback : value)),
  )

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
  /** Addresses that Gateways have. */
  readonly gateways: ReadonlySet<string>
}

/** Decides what a check is evidence of by the address of who sent it; undefined where the peer has none. */
export function witnessOf(caller: string | undefined, { certificates, gateways }: Callers): Witness {
  if (certificates) return 'certificate'
  if (caller === undefined) return 'somebody'
  const address = isLoopback(caller) ? loopback : caller
  if (gateways.has(address)) return 'gateway'
  return address === loopback ? 'local' : 'somebody'
}

// Stands for every loopback address: a packet from one of them may be from any.
const loopback = 'loopback'

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

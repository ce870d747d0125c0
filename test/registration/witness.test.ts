import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { gatewayAddresses, witnessOf } from '../../src/registration/witness.ts'
import type { Callers, Witness } from '../../src/registration/witness.ts'
import { readManifests } from '../support/manifests.ts'

/** A world with one Gateway at each address. */
const gateways = (...addresses: readonly string[]): ReadonlySet<string> =>
  gatewayAddresses(
    worldOf(
      readManifests(
        addresses
          .map(
            (value, index) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: infra, name: edge-${index} }
spec: { gatewayClassName: any, listeners: [{ name: web, port: 80, protocol: HTTP }] }
status: { addresses: [{ value: "${value}" }] }
`,
          )
          .join('---'),
      ),
    ),
  )

const cluster: Callers = { certificates: false, gateways: gateways('10.0.0.9', 'lb.example') }
const machine: Callers = { ...cluster, gateways: gateways('127.0.0.1') }

describe('who sent a check', () => {
  it.each<readonly [string, string | undefined, Callers, Witness]>([
    ['curl through kubectl port-forward', '127.0.0.1', cluster, 'local'],
    ['somebody on this machine, over IPv6', '::1', cluster, 'local'],
    ['a gateway on this machine', '127.0.0.1', machine, 'gateway'],
    ['another address where the gateway is on this machine', '10.1.2.3', machine, 'somebody'],
    ['the address of the Gateway', '10.0.0.9', cluster, 'gateway'],
    ['another address', '10.1.2.3', cluster, 'somebody'],
    ['a peer without an address', undefined, cluster, 'somebody'],
    ['who had to show a certificate', '127.0.0.1', { ...cluster, certificates: true }, 'certificate'],
  ])('%s', (_, caller, callers, expected) => {
    expect(witnessOf(caller, callers)).toBe(expected)
  })
})

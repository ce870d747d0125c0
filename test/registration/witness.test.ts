import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { gatewayAddresses, witnessOf } from '../../src/registration/witness.ts'
import type { Arrival, Callers, Witness } from '../../src/registration/witness.ts'
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

const cluster: Callers = { certificates: false, proxies: 'loopback', gateways: gateways('10.0.0.9', 'lb.example') }
const machine: Callers = { ...cluster, gateways: gateways('127.0.0.1') }
const proxied: Callers = { ...cluster, proxies: 'others' }
const plain: Arrival = { by: 'request', source: undefined, forwarded: false }

describe('who sent a check', () => {
  it.each<readonly [string, Partial<Arrival>, Callers, Witness]>([
    ['curl through kubectl port-forward', {}, cluster, 'local'],
    ['curl on this machine, in a form that only trusted callers may use', { by: 'told' }, cluster, 'local'],
    ['the same with a client that it tells', { by: 'told', source: '10.1.2.3' }, cluster, 'local'],
    ['somebody on this machine, who is not trusted', { source: '127.0.0.1' }, proxied, 'local'],
    ['somebody on this machine, over IPv6', { source: '::1' }, cluster, 'local'],
    ['a gateway on this machine', {}, machine, 'gateway'],
    ['a gateway on this machine that tells a client', { source: '172.17.0.2', forwarded: true }, machine, 'gateway'],
    ['another address where the gateway is on this machine', { source: '10.1.2.3' }, machine, 'somebody'],
    ['the address of the Gateway', { source: '10.0.0.9' }, cluster, 'gateway'],
    ['somebody who tells the address of the Gateway', { source: '10.0.0.9', forwarded: true }, cluster, 'somebody'],
    ['another address', { source: '10.1.2.3' }, cluster, 'somebody'],
    ['a trusted proxy that tells no client', {}, proxied, 'somebody'],
    ['a message over gRPC, whatever client it names', { by: 'claimed', source: '10.0.0.9' }, cluster, 'somebody'],
    ['a message over gRPC that names none', { by: 'claimed' }, cluster, 'somebody'],
    ['who had to show a certificate', {}, { ...cluster, certificates: true }, 'certificate'],
  ])('%s', (_, arrival, callers, expected) => {
    expect(witnessOf({ ...plain, ...arrival }, callers)).toBe(expected)
  })
})

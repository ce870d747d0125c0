import { afterAll, describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import { probesOf } from '../../src/registration/probes.ts'
import { offlineServices } from '../../src/services.ts'
import { readManifests } from '../support/manifests.ts'
import { us } from '../support/registered.ts'

const services = offlineServices()
afterAll(() => services.close())

interface World {
  readonly match?: string
  readonly hostnames?: string
  readonly listener?: string
  readonly addresses?: string
  readonly accepted?: string
  readonly spec?: string
}

const basic = 'authentication: [{ apiKey: { keysRef: { name: keys } } }]'

const probes = ({
  match = '{ path: { value: /pay } }',
  hostnames = '[]',
  listener = 'port: 80, protocol: HTTP',
  addresses = '[{ value: 192.0.2.1 }]',
  accepted = 'True',
  spec = basic,
}: World) => {
  const manifests = readManifests(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: infra, name: edge }
spec: { gatewayClassName: any, listeners: [{ name: web, ${listener} }] }
status: { addresses: ${addresses} }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  parentRefs: [{ namespace: infra, name: edge }]
  hostnames: ${hostnames}
  rules:
    - name: pay
      matches: [${match}]
      filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, backendRef: { name: gatehouse, namespace: gatehouse, port: 9002 }, http: {} } }]
status:
  parents:
    - parentRef: { namespace: infra, name: edge }
      controllerName: example.com/gateway
      conditions: [{ type: Accepted, status: "${accepted}", reason: Any }]
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: keys }
stringData: { uptime: monitor-key-for-the-example-only }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: pay }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
  ${spec}
`)
  const reports = createCompiler(services, us)(manifests).reports()
  return probesOf({ world: worldOf(manifests), reports }, us).map(
    ({ scheme, address, port, host, method, path }) => `${method} ${scheme}://${address}:${port}${path} for ${host}`,
  )
}

describe('probes', () => {
  it.each<readonly [string, World, readonly string[]]>([
    ['of a plain rule', {}, ['GET http://192.0.2.1:80/pay for 192.0.2.1']],
    ['under its host', { hostnames: '[shop.example]' }, ['GET http://192.0.2.1:80/pay for shop.example']],
    [
      'under some host of a wildcard',
      { hostnames: "['*.shop.example']" },
      ['GET http://192.0.2.1:80/pay for gatehouse-probe.shop.example'],
    ],
    [
      'within the listener’s host',
      { listener: "port: 443, protocol: HTTPS, hostname: '*.example'", hostnames: '[a.test, shop.example]' },
      ['GET https://192.0.2.1:443/pay for shop.example'],
    ],
    [
      'with what it matches',
      { match: '{ path: { value: /pay }, queryParams: [{ name: a, value: "1 2" }] }' },
      ['GET http://192.0.2.1:80/pay?a=1+2 for 192.0.2.1'],
    ],
    ['none by a method that changes something', { match: '{ method: DELETE }' }, []],
    ['none of a pattern', { match: '{ path: { type: RegularExpression, value: /a+ } }' }, []],
    [
      'none where nothing meets',
      { listener: 'port: 80, protocol: HTTP, hostname: a.test', hostnames: '[shop.example]' },
      [],
    ],
    ['none through TCP', { listener: 'port: 80, protocol: TCP' }, []],
    ['none without an address', { addresses: '[]' }, []],
    ['none of a route that is not accepted', { accepted: 'False' }, []],
    ['none where strangers are let in', { spec: 'guest: { subject: visitor }' }, []],
    ['none where everybody is', { spec: `${basic}\n  mode: Shadow` }, []],
    [
      'none of a policy that does not work',
      { spec: 'authentication: [{ apiKey: { keysRef: { name: nobody } } }]' },
      [],
    ],
  ])('%s', (_, world, expected) => {
    expect(probes(world)).toEqual(expected)
  })
})

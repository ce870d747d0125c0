import { afterAll, describe, expect, it } from 'vitest'
import { createCompiler } from '../../src/policy/compile.ts'
import { offlineServices } from '../../src/services.ts'
import { request } from '../support/make.ts'
import { readManifests } from '../support/manifests.ts'
import { us } from '../support/registered.ts'

/* A route may come to Gateways that it does not name (GEP-3793): their policies are for it as for all others. */

const services = offlineServices()
afterAll(() => services.close())

interface World {
  readonly scope?: string
  readonly from?: string
  readonly use?: string
  readonly strategy?: string
  readonly section?: string
  /** Whether the route has a policy of its own. */
  readonly own?: boolean
  readonly routeIn?: string
  readonly parentRefs?: string
  /** Whose status tells of it. */
  readonly told?: string
  readonly leave?: string
}

/** A default Gateway for shop.test and api.test with a policy, and a route that asks for default Gateways. */
function world(given: World = {}) {
  const { scope = 'All', from = 'All', use = 'All', strategy = 'Overrides', own = true, routeIn = 'shop' } = given
  const { parentRefs = '[]', told, section, leave } = given
  return readManifests(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: infra, name: edge }
spec:
  gatewayClassName: any
  defaultScope: ${scope}
  listeners:
    - { name: shop, port: 80, protocol: HTTP, hostname: shop.test, allowedRoutes: { namespaces: { from: ${from} } } }
    - { name: api, port: 80, protocol: HTTP, hostname: api.test, allowedRoutes: { namespaces: { from: ${from} } } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: ${routeIn}, name: cart }
spec:
  parentRefs: ${parentRefs}
  useDefaultGateways: ${use}
  rules:
    - name: pay
      filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, backendRef: { name: gatehouse, namespace: gatehouse, port: 9003 }, http: {} } }]
status:
  parents: ${told === undefined ? '[]' : `[{ parentRef: { namespace: infra, name: ${told} }, controllerName: any, conditions: [{ type: Accepted, status: "True" }] }]`}
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: ${routeIn}, name: own }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: ${own ? 'HTTPRoute' : 'Gateway'}, name: ${own ? 'cart' : 'none'} }]
  guest: { subject: anybody }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: infra, name: everywhere }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: edge${section === undefined ? '' : `, sectionName: ${section}`} }]
  strategy: ${strategy}
  guest: { subject: visitor }
  authorization: [{ cel: "request.method == 'GET'" }]
`).filter(({ kind }) => kind !== leave)
}

const compiled = (given: World, at: typeof us | undefined = us) => {
  const { snapshot } = createCompiler(services, at)(world(given))
  snapshot.release()
  return snapshot
}

describe('the policy of a default Gateway', () => {
  it.each<readonly [string, World, string | undefined]>([
    ['overrides that of a route', {}, 'infra/everywhere'],
    ['overrides it once its status tells, too', { told: 'edge' }, 'infra/everywhere'],
    ['overrides it where it is for a listener', { section: 'api' }, 'infra/everywhere'],
    ['is overridden by it as a default', { strategy: 'Defaults' }, 'shop/own'],
    ['is in force where the route has none', { strategy: 'Defaults', own: false }, 'infra/everywhere'],
    ['is not in force for a route that does not ask for it', { use: 'None', own: false }, undefined],
    ['nor where the Gateway is no default', { scope: 'None' }, 'shop/own'],
    ['unless the status tells of it all the same', { scope: 'None', told: 'edge' }, 'infra/everywhere'],
    ['nor where it takes no routes of the namespace', { from: 'Same' }, 'shop/own'],
    ['but for one of its own namespace', { from: 'Same', routeIn: 'infra' }, 'infra/everywhere'],
    ['nor as long as a selector alone tells', { from: 'Selector' }, 'shop/own'],
    ['but when the status tells of it', { from: 'Selector', told: 'edge' }, 'infra/everywhere'],
    ['nor for a status alone, where the route does not ask', { use: 'None', told: 'edge' }, 'shop/own'],
    ['is in force where the Gateway is not known', { told: 'edge', leave: 'Gateway' }, 'infra/everywhere'],
    ['besides a Gateway that the route names', { parentRefs: '[{ name: own }]' }, 'infra/everywhere'],
  ])('%s', (_, given, policy) => {
    expect(compiled(given).rules[0]?.policy?.name).toBe(policy)
    expect(createCompiler(services)(world(given)).snapshot.rules[0]?.policy?.name).toBe(policy)
  })

  it('is judged again when the Gateway becomes a default one', () => {
    const compile = createCompiler(services, us)
    const route = world().filter(({ kind }) => kind !== 'Gateway')
    const gateway = (scope: string) => world({ scope }).filter(({ kind }) => kind === 'Gateway')
    const policyOf = (scope: string) => compile([...gateway(scope), ...route]).snapshot.rules[0]?.policy?.name
    expect(['None', 'All', 'None'].map(policyOf)).toEqual(['shop/own', 'infra/everywhere', 'shop/own'])
  })
})

describe('the hosts of a default Gateway', () => {
  it.each<readonly [string, World, readonly string[]]>([
    ['those of its listeners', {}, ['shop.test', 'api.test']],
    ['any where the status tells of one that is not known', { told: 'other' }, ['']],
    ['any where no default Gateway is known', { scope: 'None' }, ['']],
    ['any where the named one is not known', { parentRefs: '[{ name: own }]' }, ['']],
  ])('are %s', (_, given, hostnames) => {
    expect(compiled(given).rules[0]?.hostnames).toEqual(hostnames)
  })
})

it('is where a route is matched once its status tells that it was accepted', () => {
  const asked = request({ via: 'matching', claim: { kind: 'match' }, authority: 'shop.test' })
  const kind = (given: World) => {
    const made = compiled(given).match(asked)
    return made.kind === 'rule' ? made.rule.policy?.name : made.reason
  }
  expect(kind({ told: 'edge' })).toBe('infra/everywhere')
  expect(kind({ told: 'edge', leave: 'Gateway' })).toBe('no-match')
  expect(kind({ told: 'other', scope: 'None' })).toBe('no-match')
})

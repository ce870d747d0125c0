import { afterAll, describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import { showRef } from '../../src/registration/parents.ts'
import { probesOf } from '../../src/registration/probes.ts'
import { surveyOf } from '../../src/registration/survey.ts'
import { offlineServices } from '../../src/services.ts'
import { readManifests } from '../support/manifests.ts'
import { us } from '../support/registered.ts'

const services = offlineServices()
afterAll(() => services.close())

interface World {
  readonly takes?: string
  readonly setIn?: string
  readonly parentRefs?: string
  readonly useDefaultGateways?: string
  readonly overrides?: string
  readonly leave?: readonly string[]
}

/** A Gateway for a.test, a ListenerSet that adds b.test on another port, and a route with a policy of its own. */
function world({ takes = 'All', setIn = 'shop', leave = [], ...more }: World = {}) {
  const {
    parentRefs = '[{ kind: ListenerSet, name: more }]',
    useDefaultGateways = 'None',
    overrides = 'Gateway',
  } = more
  return readManifests(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: infra, name: edge }
spec:
  gatewayClassName: any
  allowedListeners: { namespaces: { from: ${takes} } }
  listeners: [{ name: web, port: 80, protocol: HTTP, hostname: a.test }]
status: { addresses: [{ value: 192.0.2.1 }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: { namespace: ${setIn}, name: more }
spec:
  parentRef: { namespace: infra, name: edge }
  listeners:
    - { name: b, port: 8080, protocol: HTTP, hostname: b.test }
    - { name: c, port: 8081, protocol: HTTP, hostname: c.test }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: ${setIn}, name: cart }
spec:
  parentRefs: ${parentRefs}
  useDefaultGateways: ${useDefaultGateways}
  rules:
    - name: pay
      filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, backendRef: { name: gatehouse, namespace: gatehouse, port: 9002 }, http: {} } }]
status:
  parents:
    - parentRef: { kind: ListenerSet, name: more }
      controllerName: example.com/gateway
      conditions: [{ type: Accepted, status: "True", reason: Accepted }]
---
apiVersion: v1
kind: Secret
metadata: { namespace: ${setIn}, name: keys }
stringData: { uptime: monitor-key-for-the-example-only }
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: ${setIn}, name: own }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart }]
  authentication: [{ apiKey: { keysRef: { name: keys } } }]
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: infra, name: everywhere }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: ${overrides}, name: edge }]
  strategy: Overrides
  guest: { subject: visitor }
  authorization: [{ cel: "request.method == 'GET'" }]
`).filter(({ kind }) => !leave.includes(kind))
}

function compiled(given: World) {
  const { snapshot, problems, reports } = createCompiler(services, us)(world(given))
  snapshot.release()
  const [rule] = snapshot.rules
  return { hostnames: rule?.hostnames, policy: rule?.policy?.name, problems: problems.map(({ say }) => say), reports }
}

describe('a route of a ListenerSet', () => {
  it.each<[string, World, readonly string[]]>([
    ['the hosts of its listeners', {}, ['b.test', 'c.test']],
    [
      'those of the listener that it names',
      { parentRefs: '[{ kind: ListenerSet, name: more, sectionName: c }]' },
      ['c.test'],
    ],
    ['those of the port that it names', { parentRefs: '[{ kind: ListenerSet, name: more, port: 8080 }]' }, ['b.test']],
    [
      'with those of the Gateway that it names besides',
      { parentRefs: '[{ kind: ListenerSet, name: more }, { namespace: infra, name: edge }]' },
      ['b.test', 'c.test', 'a.test'],
    ],
    ['none where the Gateway takes no sets', { takes: 'None' }, []],
    ['none where the Gateway takes those of its own namespace', { takes: 'Same' }, []],
    ['them where that is the set’s', { takes: 'Same', setIn: 'infra' }, ['b.test', 'c.test']],
    ['them where only a selector says whose it takes', { takes: 'Selector' }, ['b.test', 'c.test']],
    ['any where the set is not known', { leave: ['ListenerSet'] }, ['']],
    ['them where the Gateway is not known', { leave: ['Gateway'] }, ['b.test', 'c.test']],
    ['any where a default Gateway may serve it too', { useDefaultGateways: 'All' }, ['']],
    [
      'any where a Service in a mesh serves it too',
      { parentRefs: '[{ kind: ListenerSet, name: more }, { group: "", kind: Service, name: cart }]' },
      [''],
    ],
  ])('serves %s', (_, given, expected) => expect(compiled(given).hostnames).toEqual(expected))

  it.each<[string, World, string]>([
    ['in force for it', {}, 'infra/everywhere'],
    ['of a Gateway that does not take the set, not', { takes: 'None' }, 'shop/own'],
    ['of another target, not', { overrides: 'HTTPRoute' }, 'shop/own'],
  ])('has an overriding policy of the Gateway %s', (_, given, policy) => {
    expect(compiled(given)).toMatchObject({ policy, problems: [] })
  })

  it('is reached through the Gateway', () => {
    const seen = worldOf(world())
    const { parents } = surveyOf(seen, us).reached('shop/cart') ?? {}
    expect(parents?.map(({ ref, accepted }) => [showRef(ref), accepted.status])).toEqual([
      ['Gateway infra/edge', 'True'],
    ])
  })

  it('is reached through the set itself where that is not known', () => {
    const seen = worldOf(world({ leave: ['ListenerSet'] }))
    const { parents } = surveyOf(seen, us).reached('shop/cart') ?? {}
    expect(parents?.map(({ ref }) => showRef(ref))).toEqual(['ListenerSet shop/more'])
  })

  it('is probed at a listener of the set, at the Gateway’s address', () => {
    const given: World = { takes: 'All', overrides: 'HTTPRoute' }
    const { reports } = compiled(given)
    const probes = probesOf({ world: worldOf(world(given)), reports: reports() }, us)
    expect(probes.map(({ gateway, address, port, host }) => [gateway, address, port, host])).toEqual([
      ['Gateway infra/edge', '192.0.2.1', 8080, 'b.test'],
    ])
  })

  it('is judged again when the set or the Gateway’s leave changes', () => {
    const compile = createCompiler(services, us)
    const before = world()
    const hostsOf = (manifests: ReturnType<typeof world>) => {
      const { snapshot } = compile(manifests)
      snapshot.release()
      return snapshot.rules[0]?.hostnames
    }
    expect(hostsOf(before)).toEqual(['b.test', 'c.test'])
    const [closed] = world({ takes: 'None' })
    expect(hostsOf(before.map((one) => (one.kind === 'Gateway' && closed !== undefined ? closed : one)))).toEqual([])
    expect(hostsOf(before.filter(({ kind }) => kind !== 'ListenerSet'))).toEqual([''])
  })
})

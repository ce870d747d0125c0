import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { fault } from '../../src/model/result.ts'
import { missingService } from '../../src/registration/missing-service.ts'
import type { Listed } from '../../src/registration/missing-service.ts'
import { readManifests } from '../support/manifests.ts'

const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
const service = (namespace: string, name: string): string =>
  `{ apiVersion: v1, kind: Service, metadata: { namespace: ${namespace}, name: ${name} } }\n`
const asking = (name: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: asks-${name} }
spec:
  rules:
    - filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP, backendRef: { name: ${name}, namespace: auth } } }]
`
const forbidden = fault('missing-permission', [], 'may not list Services')

describe('our own Service', () => {
  it.each<readonly [string, readonly string[], Partial<Listed>, readonly string[]]>([
    ['is there', [service('gatehouse', 'gatehouse')], {}, []],
    ['is there, in the one namespace', [service('gatehouse', 'gatehouse')], { namespaces: ['gatehouse'] }, []],
    [
      'is not there',
      [service('shop', 'cart')],
      {},
      [
        'error Service gatehouse/gatehouse: there is no Service gatehouse/gatehouse, which --service takes for ours: filters that ask another one are not ours, and nothing is registered; create it, or name the Service that filters ask by --service',
      ],
    ],
    [
      'is called otherwise, as filters tell',
      [service('auth', 'gate'), service('auth', 'old'), asking('gone'), asking('gate')],
      {},
      [
        'error Service gatehouse/gatehouse: there is no Service gatehouse/gatehouse, which --service takes for ours: filters that ask another one are not ours, and nothing is registered; name the Service that filters ask, e.g. --service=auth/gate',
      ],
    ],
    [
      'is in a namespace that is not looked into',
      [service('shop', 'cart')],
      { namespaces: ['shop'] },
      [
        'warning Service gatehouse/gatehouse: namespace gatehouse of our Service is not looked into: no ReferenceGrant and no BackendTLSPolicy is kept for it; add gatehouse to --namespace',
      ],
    ],
    ['cannot be seen, as is told already', [], { problems: [forbidden] }, []],
  ])('%s', (_, objects, listed, expected) => {
    const world = worldOf(readManifests(objects.join('---\n')))
    const found = missingService(world, us, { namespaces: undefined, problems: [], ...listed })
    expect(found.map(({ severity, object, say, mend }) => `${severity} ${object}: ${say}; ${mend}`)).toEqual(expected)
  })
})

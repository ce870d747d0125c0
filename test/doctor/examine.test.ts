import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { showFix } from '../../src/doctor/diagnosis.ts'
import { problemCodes } from '../../src/model/result.ts'
import {
  examined,
  filter,
  gateway,
  gatewayClass,
  grant,
  grpcFilter,
  mended,
  needs,
  open,
  route,
  rule,
  service,
} from './wiring.ts'
import { summary, thingsOf } from './wiring.ts'
import type { Spoilt, Thing } from './wiring.ts'

type Row = readonly [name: string, given: Spoilt, expected: readonly string[]]

const at = 'HTTPRoute cart: spec.rules[0]'
const auth = `${at}.filters[0].externalAuth`
const one = (some: Parameters<typeof rule>[0], spec: object = {}): Spoilt => ({
  things: [route([rule(some)], { spec: { ...spec } })],
})
const http = (some: Parameters<typeof filter>[0], more?: Parameters<typeof filter>[1]): Spoilt =>
  one({ filters: [filter(some, more)] })
const by = (controllerName: string, spoilt: Spoilt = {}): Spoilt => ({
  ...spoilt,
  things: [gatewayClass(controllerName), ...(spoilt.things ?? [])],
})

const ngf = 'gateway.nginx.org/nginx-gateway-controller'
const agentgateway = 'agentgateway.dev/agentgateway'
const envoyGateway = 'gateway.envoyproxy.io/gatewayclass-controller'
const ngfPath = { path: '/v1/ngf/shop/cart/pay' }

const grpcRoute = (spec: object = {}): Thing => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GRPCRoute',
  metadata: { namespace: 'shop', name: 'rpc' },
  spec: { parentRefs: [{ name: 'inner' }], ...spec },
})

const mesh = (status: object): Thing => ({
  apiVersion: 'gateway.networking.x-k8s.io/v1alpha1',
  kind: 'XMesh',
  metadata: { namespace: '', name: 'mesh' },
  spec: { controllerName: 'example.com/mesh' },
  status: { ...status },
})

/** The route at a Service, which a controller may have taken. */
const inMesh = (controllerName?: string): Thing => {
  const parentRef = { group: '', kind: 'Service', name: 'cart' }
  const parents = controllerName === undefined ? [] : [{ parentRef, controllerName, conditions: [] }]
  return route([rule()], { spec: { parentRefs: [parentRef] }, status: { parents } })
}

const tables: Readonly<Record<string, readonly Row[]>> = {
  'a cluster that is wired well': [
    ['says nothing', {}, []],
    ['with header names in any case', http({ allowedResponseHeaders: ['X-User'] }), []],
    ['with a grant for every Service', { things: [grant({ to: [{ group: '', kind: 'Service' }] })] }, []],
    ['over gRPC', one({ filters: [grpcFilter()] }), []],
    ['through NGINX Gateway Fabric', by(ngf, http(ngfPath)), []],
    [
      'through a default gateway',
      {
        things: [
          gateway({ defaultScope: 'All' }),
          route([rule()], { spec: { parentRefs: [], useDefaultGateways: 'All' } }),
        ],
      },
      [],
    ],
    [
      'with a filter of somebody else',
      { things: [route([rule({ filters: [filter({}, { backendRef: { name: 'other', port: 80 } })] })])], rules: [] },
      [],
    ],
  ],

  'a gateway that may not know the filter': [
    ['Envoy Gateway', by(envoyGateway), [`error controller-ignores-filter ${at}.filters[0]`]],
    ['Contour', by('projectcontour.io/gateway-controller'), [`error controller-ignores-filter ${at}.filters[0]`]],
    ['Traefik', by('traefik.io/gateway-controller'), [`error controller-ignores-filter ${at}.filters[0]`]],
    ['Istio', by('istio.io/gateway-controller'), [`error controller-ignores-filter ${at}.filters[0]`]],
    ['kgateway', by('kgateway.dev/kgateway'), [`error controller-ignores-filter ${at}.filters[0]`]],
    ['an unknown one that lists no features', by('example.com/gateway'), []],
    [
      'an unknown one that lists others',
      { things: [gatewayClass('example.com/gateway', { supportedFeatures: [{ name: 'HTTPRoute' }] })] },
      [`warning filter-not-supported ${at}.filters[0]`],
    ],
    [
      'a mesh that lists others',
      { things: [inMesh(), mesh({ supportedFeatures: [{ name: 'HTTPRoute' }] })] },
      [`warning filter-not-supported ${at}.filters[0]`],
    ],
    [
      'a mesh that lists it',
      { things: [inMesh(), mesh({ supportedFeatures: [{ name: 'HTTPRouteExternalAuth' }] })] },
      [],
    ],
    ['a mesh that lists nothing', { things: [inMesh(), mesh({})] }, []],
    [
      "a mesh that is not the route's",
      { things: [inMesh('other.example/mesh'), mesh({ supportedFeatures: [{ name: 'HTTPRoute' }] })] },
      [],
    ],
    ['a mesh beside a Gateway', { things: [mesh({ supportedFeatures: [{ name: 'HTTPRoute' }] })] }, []],
    [
      'an unknown one that lists it, the older way',
      { things: [gatewayClass('example.com/gateway', { supportedFeatures: ['HTTPRouteExternalAuthHTTP'] })] },
      [],
    ],
    [
      'a known one is known better than its list',
      { things: [gatewayClass('io.cilium/gateway-controller', { supportedFeatures: [{ name: 'HTTPRoute' }] })] },
      [],
    ],
    [
      'known by the status of the route alone',
      {
        without: ['Gateway'],
        things: [
          route([rule()], {
            status: {
              parents: [
                { parentRef: { name: 'edge', namespace: 'infra' }, controllerName: envoyGateway, conditions: [] },
              ],
            },
          }),
        ],
      },
      [`error controller-ignores-filter ${at}.filters[0]`],
    ],
    [
      'one that did not take the route',
      {
        things: [
          route([rule()], {
            status: {
              parents: [
                {
                  parentRef: { name: 'edge', namespace: 'infra' },
                  controllerName: 'io.cilium/gateway-controller',
                  conditions: [{ type: 'Accepted', status: 'False', reason: 'UnsupportedValue' }],
                },
              ],
            },
          }),
        ],
      },
      ['warning route-not-accepted HTTPRoute cart: status.parents[0]'],
    ],
  ],

  'headers of the answer': [
    [
      'none',
      http({ allowedResponseHeaders: [] }),
      [`error empty-response-headers ${auth}.http.allowedResponseHeaders`],
    ],
    [
      'one missing',
      http({ allowedResponseHeaders: ['x-other'] }),
      [`error missing-response-header ${auth}.http.allowedResponseHeaders`],
    ],
    [
      'content-length',
      http({ allowedResponseHeaders: ['x-user', 'Content-Length'] }),
      [`error unsafe-response-header ${auth}.http.allowedResponseHeaders`],
    ],
    ['none needed over gRPC', { ...one({ filters: [grpcFilter()] }), rules: [needs({ injects: ['x-a', 'x-b'] })] }, []],
  ],

  'headers of the request': [
    [
      'a cookie, not sent by itself',
      { rules: [needs({ reads: ['authorization', 'cookie'] })] },
      [`warning missing-request-header ${auth}.http.allowedHeaders`],
    ],
    [
      'the only one that is read',
      { rules: [needs({ reads: ['x-api-key'] })] },
      [`error missing-request-header ${auth}.http.allowedHeaders`],
    ],
    [
      'one that an expression looks at',
      { rules: [needs({ looksAt: ['x-tier'] })] },
      [`warning missing-request-header ${auth}.http.allowedHeaders`],
    ],
    [
      'one that an expression looks at, sent',
      { ...http({ allowedHeaders: ['X-Tier'] }), rules: [needs({ looksAt: ['x-tier'] })] },
      [],
    ],
    ['one that an expression looks at, always sent', { rules: [needs({ looksAt: ['authorization', 'host'] })] }, []],
    [
      'one that an expression looks at, over gRPC with all',
      { ...one({ filters: [grpcFilter()] }), rules: [needs({ looksAt: ['x-tier'], looksAtOthers: true })] },
      [],
    ],
    [
      'one that an expression looks at, over gRPC with a list',
      {
        ...one({ filters: [grpcFilter({ allowedHeaders: ['authorization'] })] }),
        rules: [needs({ looksAt: ['x-tier'] })],
      },
      [`warning missing-request-header ${auth}.grpc.allowedHeaders`],
    ],
    [
      'of a name that is computed',
      { rules: [needs({ looksAtOthers: true })] },
      [`warning computed-request-header ${auth}.http.allowedHeaders`],
    ],
    [
      'of a name that is computed, over gRPC with a list',
      {
        ...one({ filters: [grpcFilter({ allowedHeaders: ['authorization'] })] }),
        rules: [needs({ looksAtOthers: true })],
      },
      [`warning computed-request-header ${auth}.grpc.allowedHeaders`],
    ],
    [
      'the scheme, over HTTP',
      { rules: [needs({ scheme: true })] },
      [`warning missing-request-header ${auth}.http.allowedHeaders`],
    ],
    [
      'the scheme, over HTTP and sent',
      { ...http({ allowedHeaders: ['X-Forwarded-Proto'] }), rules: [needs({ scheme: true })] },
      [],
    ],
    ['the scheme, over gRPC', { ...one({ filters: [grpcFilter()] }), rules: [needs({ scheme: true })] }, []],
    [
      'sent in another case',
      { ...http({ allowedHeaders: ['X-API-Key'] }), rules: [needs({ reads: ['x-api-key'] })] },
      [],
    ],
    [
      'a gRPC list without Authorization',
      one({ filters: [grpcFilter({ allowedHeaders: ['cookie'] })] }),
      [`error missing-request-header ${auth}.grpc.allowedHeaders`],
    ],
    [
      'one that a matching rule looks at',
      {
        things: [
          route([
            rule({
              matches: [{ headers: [{ name: 'X-Version', value: '2' }] }],
              filters: [
                filter({ path: undefined }, { backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9003 } }),
              ],
            }),
          ]),
        ],
      },
      [`error missing-request-header ${auth}.http.allowedHeaders`, `note missing-path ${auth}.http.path`],
    ],
    ['one that a keyed rule looks at', one({ matches: [{ headers: [{ name: 'X-Version', value: '2' }] }] }), []],
  ],

  'port and protocol': [
    [
      'another port',
      http({}, { backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 80 } }),
      [`error wrong-port ${auth}.backendRef.port`],
    ],
    [
      'a key for the matching port',
      http({}, { backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9003 } }),
      [`error wrong-port ${auth}.backendRef.port`],
    ],
    [
      'HTTP to the gRPC port',
      http({}, { backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9001 } }),
      [`error wrong-protocol ${auth}.protocol`],
    ],
    ['gRPC to the HTTP port', one({ filters: [grpcFilter({}, 9002)] }), [`error wrong-protocol ${auth}.protocol`]],
    [
      'gRPC through NGINX Gateway Fabric',
      by(ngf, one({ filters: [grpcFilter()] })),
      [`error wrong-protocol ${auth}.protocol`],
    ],
    [
      'a gRPC port that does not say so',
      { things: [route([rule({ filters: [grpcFilter()] })]), service([{ name: 'grpc', port: 9001 }])] },
      ['warning missing-app-protocol Service gatehouse: spec.ports[0].appProtocol'],
    ],
    [
      'a gRPC port over TLS',
      {
        things: [
          route([rule({ filters: [grpcFilter()] })]),
          service([{ name: 'grpc', port: 9001 }]),
          {
            apiVersion: 'gateway.networking.k8s.io/v1',
            kind: 'BackendTLSPolicy',
            metadata: { namespace: 'gatehouse', name: 'tls' },
            spec: { targetRefs: [{ group: '', kind: 'Service', name: 'gatehouse', sectionName: 'grpc' }] },
          },
        ],
      },
      [],
    ],
    [
      'a port that the Service has not',
      { things: [service([{ name: 'grpc', port: 9001 }])] },
      [`error wrong-port ${auth}.backendRef.port`],
    ],
  ],

  'the key in http.path': [
    ["another rule's", http({ path: '/v1/check/shop/cart/read/-' }), [`error foreign-path ${auth}.http.path`]],
    ["another namespace's", http({ path: '/v1/check/bank/cart/pay/-' }), [`error foreign-path ${auth}.http.path`]],
    ['without its end', http({ path: '/v1/check/shop/cart/pay' }), [`error foreign-path ${auth}.http.path`]],
    ['with dots', http({ path: '/v1/check/shop/../shop/cart/pay/-' }), [`error foreign-path ${auth}.http.path`]],
    ['without its slash', http({ path: 'v1/check/shop/cart/pay/-' }), [`error foreign-path ${auth}.http.path`]],
    ['none at the HTTP port', http({ path: undefined }), [`error missing-path ${auth}.http.path`]],
    [
      'none at the matching port',
      http({ path: undefined }, { backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9003 } }),
      [`note missing-path ${auth}.http.path`],
    ],
    ['for a gateway that calls it as it stands', by(ngf), [`error foreign-path ${auth}.http.path`]],
    ['for such a gateway, elsewhere', http(ngfPath), [`error foreign-path ${auth}.http.path`]],
    ['none through such a gateway', by(ngf, http({ path: undefined })), [`error missing-path ${auth}.http.path`]],
    [
      'for two gateways of different kinds',
      by(ngf, {
        things: [
          route([rule({ filters: [filter(ngfPath)] })], {
            spec: {
              parentRefs: [
                { name: 'edge', namespace: 'infra' },
                { name: 'other', namespace: 'infra' },
              ],
            },
          }),
          gateway({ gatewayClassName: 'other' }, 'other'),
          { ...gatewayClass('io.cilium/gateway-controller'), metadata: { namespace: 'default', name: 'other' } },
        ],
      }),
      [`error foreign-path ${auth}.http.path`],
    ],
  ],

  'whom Gatehouse believes': [
    ['NGINX Gateway Fabric, trusted', by(ngf, http(ngfPath)), []],
    [
      'NGINX Gateway Fabric, not trusted',
      { ...by(ngf, http(ngfPath)), trust: 'loopback' },
      [`error untrusted-gateway ${at}.filters[0]`],
    ],
    [
      'NGINX Gateway Fabric, where nobody said',
      { ...by(ngf, http(ngfPath)), trust: 'unsaid' },
      [`warning untrusted-gateway ${at}.filters[0]`],
    ],
    [
      'two rules of such a gateway: said once',
      {
        ...by(ngf, {
          things: [
            route([
              rule({ filters: [filter(ngfPath)] }),
              rule({
                name: 'b',
                matches: [{ path: { value: '/b' } }],
                filters: [filter({ path: '/v1/ngf/shop/cart/b' })],
              }),
            ]),
          ],
          rules: [needs(), needs({ key: { namespace: 'shop', route: 'cart', rule: 'b' } })],
        }),
        trust: 'loopback',
      },
      [`error untrusted-gateway ${at}.filters[0]`],
    ],
    [
      'the path of such a gateway, in a directory without one',
      { ...http(ngfPath), directory: true, without: ['Gateway', 'GatewayClass'], trust: 'unsaid' },
      [`error foreign-path ${auth}.http.path`, `warning untrusted-gateway ${at}.filters[0]`].toReversed(),
    ],
    [
      'Traefik, asked by its own filter',
      { ...by('traefik.io/gateway-controller', one({ filters: [{ type: 'ExtensionRef' }] })), trust: 'loopback' },
      [`note policy-without-filter ${at}.filters`, `error untrusted-gateway ${at}.filters`],
    ],
    ['Cilium tells nothing in headers', { trust: 'loopback' }, []],
    [
      'the scheme, told by a gateway that is not trusted',
      {
        ...http({ allowedHeaders: ['x-forwarded-proto'] }),
        rules: [needs({ scheme: true })],
        trust: 'loopback',
      },
      [`error untrusted-gateway ${at}.filters[0]`],
    ],
  ],

  'the leave to ask': [
    ['none', { without: ['ReferenceGrant'] }, [`error missing-grant ${auth}.backendRef`]],
    [
      'for another namespace',
      { things: [grant({ from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'bank' }] })] },
      [`error missing-grant ${auth}.backendRef`],
    ],
    [
      'for another Service',
      { things: [grant({ to: [{ group: '', kind: 'Service', name: 'other' }] })] },
      [`error missing-grant ${auth}.backendRef`],
    ],
    [
      'for GRPCRoutes',
      { things: [grant({ from: [{ group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', namespace: 'shop' }] })] },
      [`error missing-grant ${auth}.backendRef`],
    ],
    ['not told in a directory', { without: ['ReferenceGrant', 'Service'], directory: true }, []],
    [
      'missing among those of a directory',
      { things: [grant({ from: [] })], directory: true },
      [`error missing-grant ${auth}.backendRef`],
    ],
  ],

  'filter and policy': [
    ['a filter alone', { rules: [] }, [`error filter-without-policy ${at}.filters[0]`]],
    [
      'a filter alone in a directory',
      { rules: [], directory: true },
      [`warning filter-without-policy ${at}.filters[0]`],
    ],
    ['a policy alone', one({ filters: [] }), [`error policy-without-filter ${at}.filters`]],
    [
      'a policy alone in a directory',
      { ...one({ filters: [] }), directory: true },
      [`warning policy-without-filter ${at}.filters`],
    ],
    [
      'a policy alone, where the gateway asks in its own way',
      by(envoyGateway, one({ filters: [] })),
      [`note policy-without-filter ${at}.filters`],
    ],
    [
      'a policy alone, where the route has no parents: something serves it in its own way',
      { things: [route([rule({ filters: [] })], { spec: { parentRefs: [] } })] },
      [`note policy-without-filter ${at}.filters`],
    ],
    [
      'a policy alone, where the route takes default Gateways',
      { things: [route([rule({ filters: [] })], { spec: { parentRefs: [], useDefaultGateways: 'All' } })] },
      [`error policy-without-filter ${at}.filters`],
    ],
    [
      'a policy with a filter of somebody else',
      one({ filters: [filter({}, { backendRef: { name: 'other', port: 80 } })] }),
      [`error policy-without-filter ${at}.filters`],
    ],
    [
      'a filter of a backendRef',
      one({ filters: [], backendRefs: [{ name: 'cart', port: 8080, filters: [filter()] }] }),
      [`error misplaced-filter ${at}.backendRefs[0].filters`, `error policy-without-filter ${at}.filters`],
    ],
    ['two filters', one({ filters: [filter(), filter()] }), [`warning repeated-filter ${at}.filters[1]`]],
    [
      'a GRPCRoute beside it',
      {
        things: [
          {
            apiVersion: 'gateway.networking.k8s.io/v1',
            kind: 'GRPCRoute',
            metadata: { namespace: 'shop', name: 'rpc' },
            spec: { parentRefs: [{ name: 'edge', namespace: 'infra' }] },
          },
        ],
      },
      ['warning unprotectable-route GRPCRoute rpc: spec.parentRefs'],
    ],
    [
      'a GRPCRoute under a policy for its whole Gateway, with no protected route there',
      {
        things: [
          grpcRoute(),
          {
            apiVersion: 'gatehouse.dev/v1alpha1',
            kind: 'AuthPolicy',
            metadata: { namespace: 'shop', name: 'all' },
            spec: { targetRefs: [{ kind: 'Gateway', name: 'inner' }] },
          },
        ],
      },
      ['warning unprotectable-route GRPCRoute rpc: spec.parentRefs'],
    ],
    [
      'a GRPCRoute with our filter',
      { things: [grpcRoute({ rules: [{}, { filters: [grpcFilter()] }] })] },
      ['warning unprotectable-route GRPCRoute rpc: spec.rules[1].filters[0]'],
    ],
    [
      'a GRPCRoute elsewhere',
      {
        things: [
          {
            apiVersion: 'gateway.networking.k8s.io/v1',
            kind: 'GRPCRoute',
            metadata: { namespace: 'shop', name: 'rpc' },
            spec: { parentRefs: [{ name: 'inner' }] },
          },
        ],
      },
      [],
    ],
  ],

  names: [
    [
      'none',
      {
        ...one({ name: undefined, filters: [filter({ path: '/v1/check/shop/cart/_/-' })] }),
        rules: [needs({ key: { namespace: 'shop', route: 'cart', rule: '_' } })],
      },
      [`note unnamed-rule ${at}.name`],
    ],
    ['none, of a rule that does not ask us', { things: [route([rule(), open('/x', { name: undefined })])] }, []],
    [
      'twice the same',
      { things: [route([rule(), rule({ matches: [{ path: { value: '/pay' } }] })])] },
      ['error duplicate-rule HTTPRoute cart: spec.rules[1].name'],
    ],
  ],

  'an open rule beside a protected one': [
    ['narrower', { things: [route([rule(), open('/cart/help')])] }, []],
    ['of other paths', { things: [route([rule(), open('/cartoons')])] }, []],
    ['broader, behind Cilium', { things: [route([rule(), open('/')])] }, [`note shadowed-rule ${at}.matches[0]`]],
    [
      'broader, behind agentgateway',
      by(agentgateway, { things: [route([rule(), open('/')])] }),
      [`warning shadowed-rule ${at}.matches[0]`],
    ],
    [
      'broader, behind nobody known',
      by('example.com/gateway', { things: [route([rule(), open('/')])] }),
      [`warning shadowed-rule ${at}.matches[0]`],
    ],
    [
      'broader, with the pattern of everything',
      { things: [route([rule(), open('', { matches: [{ path: { type: 'RegularExpression', value: '/.*' } }] })])] },
      [`note shadowed-rule ${at}.matches[0]`],
    ],
    [
      'of no match at all',
      { things: [route([rule(), open('', { matches: [] })])] },
      [`note shadowed-rule ${at}.matches[0]`],
    ],
    ['equal and after it', { things: [route([rule(), open('/cart/')])] }, [`note shadowed-rule ${at}.matches[0]`]],
    [
      'equal and before it',
      { things: [route([open('/cart'), rule({ filters: [filter()] })])] },
      ['error shadowed-rule HTTPRoute cart: spec.rules[1].matches[0]'],
    ],
    [
      'equal, in an older route',
      {
        things: [
          route([rule()], { created: '2026-02-01T00:00:00Z' }),
          route([open('/cart')], { name: 'zoo', created: '2026-01-01T00:00:00Z' }),
        ],
      },
      [`error shadowed-rule ${at}.matches[0]`],
    ],
    [
      'equal, in a younger route',
      {
        things: [
          route([rule()], { created: '2026-01-01T00:00:00Z' }),
          route([open('/cart')], { name: 'zoo', created: '2026-02-01T00:00:00Z' }),
        ],
      },
      [`note shadowed-rule ${at}.matches[0]`],
    ],
    [
      'equal, first by name',
      { things: [route([rule()]), route([open('/cart')], { name: 'ant' })] },
      [`error shadowed-rule ${at}.matches[0]`],
    ],
    [
      'with a method that the protected one has not',
      { things: [route([rule(), open('/', { matches: [{ method: 'GET' }] })])] },
      [],
    ],
    [
      'with a header that the protected one has too',
      {
        things: [
          route([
            rule({ matches: [{ path: { value: '/cart' }, method: 'GET', headers: [{ name: 'A', value: '1' }] }] }),
            open('/', { matches: [{ headers: [{ name: 'a', value: '1' }] }] }),
          ]),
        ],
      },
      [`note shadowed-rule ${at}.matches[0]`],
    ],
    [
      'on other hosts',
      { things: [route([rule()]), route([open('/')], { name: 'zoo', spec: { hostnames: ['zoo.example'] } })] },
      [],
    ],
    [
      'on hosts that cover it',
      { things: [route([rule()]), route([open('/')], { name: 'zoo', spec: { hostnames: ['*.example'] } })] },
      [`note shadowed-rule ${at}.matches[0]`],
    ],
    [
      'on any host',
      { things: [route([rule()]), route([open('/')], { name: 'zoo', spec: { hostnames: [] } })] },
      [`note shadowed-rule ${at}.matches[0]`],
    ],
    [
      'at another gateway',
      { things: [route([rule()]), route([open('/')], { name: 'zoo', spec: { parentRefs: [{ name: 'inner' }] } })] },
      [],
    ],
    [
      'at another port',
      {
        things: [
          gateway({
            listeners: [
              { name: 'https', port: 443 },
              { name: 'http', port: 80 },
            ],
          }),
          route([rule()], { spec: { parentRefs: [{ name: 'edge', namespace: 'infra', sectionName: 'https' }] } }),
          route([open('/')], {
            name: 'zoo',
            spec: { parentRefs: [{ name: 'edge', namespace: 'infra', sectionName: 'http' }] },
          }),
        ],
      },
      [],
    ],
    ['that only redirects', { things: [route([rule(), open('/', { filters: [{ type: 'RequestRedirect' }] })])] }, []],
    [
      'that asks somebody else',
      { things: [route([rule(), open('/', { filters: [filter({}, { backendRef: { name: 'other', port: 80 } })] })])] },
      [],
    ],
    ['that serves nothing', { things: [route([rule(), open('/', { backendRefs: [] })])] }, []],
  ],

  'headers in conflict': [
    [
      'set by the policy, matched by the route',
      {
        things: [
          route([
            rule(),
            open('/x', { matches: [{ path: { value: '/x' }, headers: [{ name: 'X_User', value: 'root' }] }] }),
          ]),
        ],
      },
      ['warning matched-injected-header HTTPRoute cart: spec.rules[1].matches[0].headers[0]'],
    ],
    [
      'removed by the policy, matched by the route',
      {
        things: [
          route([
            rule(),
            open('/x', { matches: [{ path: { value: '/x' }, headers: [{ name: 'X_Trace', value: 'on' }] }] }),
          ]),
        ],
        rules: [needs({ removes: ['x-trace'] })],
      },
      ['warning matched-removal HTTPRoute cart: spec.rules[1].matches[0].headers[0]'],
    ],
    [
      'a query parameter, removed by the policy, matched by the route, and another spelling of it, which is another one',
      {
        things: [
          route([
            {
              ...rule(),
              filters: [grpcFilter()],
              matches: [
                { path: { value: '/pay' }, queryParams: [{ name: 'Access_token', value: 'x' }] },
                { path: { value: '/pay' }, queryParams: [{ name: 'access_token', value: 'x' }] },
              ],
            },
          ]),
        ],
        rules: [needs({ removesQuery: ['access_token'] })],
      },
      ['warning matched-removal HTTPRoute cart: spec.rules[0].matches[1].queryParams[0]'],
    ],
    [
      'set by the policy, changed by the rule',
      one({
        filters: [
          filter(),
          { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'X-User', value: 'me' }] } },
        ],
      }),
      [`warning overwritten-header ${at}.filters[1]`],
    ],
    [
      'another, changed by the rule',
      one({ filters: [filter(), { type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['x-debug'] } }] }),
      [],
    ],
    ['removed, behind Cilium', { rules: [needs({ removes: ['authorization'] })] }, []],
    [
      'a query parameter, removed over HTTP',
      { rules: [needs({ removesQuery: ['access_token'] })] },
      [`warning query-not-removed ${at}.filters[0].externalAuth.protocol`],
    ],
    [
      'removed, behind agentgateway',
      by(agentgateway, { rules: [needs({ removes: ['authorization'] })] }),
      [`warning header-not-removed ${at}.filters`],
    ],
  ],

  'client certificates': [
    [
      'not asked for',
      { rules: [needs({ clientCertificate: true })] },
      ['warning missing-frontend-validation Gateway edge: spec.tls.frontend.default.validation'],
    ],
    [
      'asked for',
      {
        things: [gateway({ tls: { frontend: { default: { validation: { caCertificateRefs: [] } } } } })],
        rules: [needs({ clientCertificate: true })],
      },
      [],
    ],
    [
      'asked for, but not on this port',
      {
        things: [gateway({ tls: { frontend: { default: { validation: {} }, perPort: [{ port: 443, tls: {} }] } } })],
        rules: [needs({ clientCertificate: true })],
      },
      ['warning missing-frontend-validation Gateway edge: spec.tls.frontend.perPort[0].tls.validation'],
    ],
    [
      'of any kind taken',
      {
        things: [
          gateway({
            tls: { frontend: { perPort: [{ port: 443, tls: { validation: { mode: 'AllowInsecureFallback' } } }] } },
          }),
        ],
        rules: [needs({ clientCertificate: true })],
      },
      ['error insecure-frontend-validation Gateway edge: spec.tls.frontend.perPort[0].tls.validation.mode'],
    ],
    [
      'without TLS',
      {
        things: [gateway({ listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] })],
        rules: [needs({ clientCertificate: true })],
      },
      ['warning missing-frontend-validation Gateway edge: spec.listeners[0]'],
    ],
    [
      'with hosts that overlap',
      {
        things: [
          gateway({
            tls: { frontend: { default: { validation: {} } } },
            listeners: [
              { name: 'shop', port: 443, protocol: 'HTTPS', hostname: 'shop.example' },
              { name: 'all', port: 443, protocol: 'HTTPS', hostname: '*.example' },
              { name: 'else', port: 443, protocol: 'HTTPS', hostname: 'else.org' },
            ],
          }),
          route([rule()], { spec: { parentRefs: [{ name: 'edge', namespace: 'infra', sectionName: 'shop' }] } }),
        ],
        rules: [needs({ clientCertificate: true })],
      },
      ['warning overlapping-listeners Gateway edge: spec.listeners[0].hostname'],
    ],
    ['not wanted', { things: [gateway({ listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] })] }, []],
  ],

  'time and passage': [
    [
      'Cilium over gRPC, with time to spare',
      { ...one({ filters: [grpcFilter()] }), budgets: { HTTP: 1000, GRPC: 199 } },
      [],
    ],
    [
      'Cilium over gRPC, without',
      { ...one({ filters: [grpcFilter()] }), budgets: { HTTP: 1000, GRPC: 200 } },
      [`warning short-timeout ${auth}.protocol`],
    ],
    [
      'agentgateway over HTTP',
      by(agentgateway, { budgets: { HTTP: 3000, GRPC: 100 } }),
      [`warning short-timeout ${auth}.protocol`],
    ],
    ['a rule in a hurry', one({ timeouts: { request: '500ms' } }), [`warning short-timeout ${at}.timeouts.request`]],
    ['a rule with time', one({ timeouts: { request: '1m30s' } }), []],
    ['a rule without an end', one({ timeouts: { request: '0s' } }), []],
    ['redirects through Cilium', { rules: [needs({ redirects: true })] }, []],
    [
      'redirects through NGINX Gateway Fabric',
      by(ngf, { ...http(ngfPath), rules: [needs({ redirects: true })] }),
      [`warning answer-not-passed ${at}.filters[0]`],
    ],
    ['a body', http({}, { forwardBody: { maxSize: 1024 } }), [`warning forwarded-body ${auth}.forwardBody`]],
    ['a body of no size', http({}, { forwardBody: { maxSize: 0 } }), []],
  ],
}

// Nothing that the doctor looks at tells that a policy was written, that a gateway asks in its own way, or that an object is to go.
const unseen = ['filter-without-policy', 'filter-not-supported', 'unprotectable-route']

/** Findings whose YAML can be tried out: settings and policies are given to the doctor by their effect. */
const mendable = (given: Spoilt) =>
  examined(given).filter(
    ({ fix, code }) =>
      fix !== undefined &&
      fix.kind !== 'setting' &&
      !(fix.kind === 'apply' && code === 'policy-without-filter') &&
      !(fix.kind === 'edit' && fix.changes.some(({ object }) => object?.kind === 'AuthPolicy')) &&
      !unseen.includes(code),
  )

for (const [subject, rows] of Object.entries(tables)) {
  describe(subject, () => {
    it.each(rows)('%s', (_, given, expected) => {
      expect(examined(given).map(summary)).toEqual(expected)
    })

    it.each(rows.filter(([, given]) => mendable(given).length > 0))('is mended by its YAML: %s', (_, given) => {
      const left = mendable(given).flatMap((found) =>
        examined(given, mended(thingsOf(given), found)).filter(
          ({ code, path }) => code === found.code && path.join() === found.path.join(),
        ),
      )
      expect(left.map(summary)).toEqual([])
    })
  })
}

it('every finding of the doctor has a world that has it', () => {
  const folder = join(import.meta.dirname, '../../src/doctor')
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  const codes = Object.keys(problemCodes).filter((code) => sources.some((text) => text.includes(`'${code}'`)))
  const shown = new Set(
    Object.values(tables).flatMap((rows) =>
      rows.flatMap(([, , expected]) => expected.map((line) => line.split(' ')[1])),
    ),
  )
  expect(codes.filter((code) => !shown.has(code))).toEqual([])
  expect(codes.length).toBeGreaterThan(25)
})

it('shows a setting as an argument of the Deployment, in a cluster only', () => {
  const given = { ...by(ngf, http(ngfPath)), trust: 'loopback' } as const
  const shown = (spoilt: Spoilt) => examined(spoilt).map(showFix)
  expect(shown(given)).toEqual([
    '# Deployment gatehouse/gatehouse: add to spec.template.spec.containers[0].args\n- --trusted-proxies=127.0.0.0/8,::1/128,10.244.0.0/16\n',
  ])
  expect(shown({ ...given, directory: true })).toEqual([undefined])
})

it('renames the header in the policy where a match of the same route looks at it', () => {
  const policy = {
    apiVersion: 'gatehouse.dev/v1alpha1',
    kind: 'AuthPolicy',
    metadata: { namespace: 'shop', name: 'cart-pay' },
    spec: { response: { headers: [{ name: 'X-User' }] } },
  }
  const other = open('/x', { matches: [{ path: { value: '/x' }, headers: [{ name: 'X_User', value: 'root' }] }] })
  const [found] = examined({ things: [route([rule(), other]), policy] })
  expect(found === undefined ? '' : showFix(found)).toBe(
    '# AuthPolicy shop/cart-pay: spec.response.headers[0].name\nname: x-auth-user\n',
  )
})

it('names headers in a sentence', () => {
  const [found] = examined(http({ allowedResponseHeaders: ['x-user', 'host', 'te'] }))
  expect(found?.say).toContain('lists host and te, which')
})

it('mends everything that is wrong with a filter in one paste', () => {
  const backendRef = { name: 'gatehouse', namespace: 'gatehouse', port: 9003 }
  const given = {
    ...http({ path: '/x', allowedResponseHeaders: ['host'] }, { backendRef, forwardBody: { maxSize: 9 } }),
    rules: [needs({ reads: ['x-api-key'], injects: ['x-user', 'x-tenant'] })],
  }
  const found = examined(given)
  expect(found.map(({ code }) => code).toSorted()).toEqual([
    'foreign-path',
    'forwarded-body',
    'missing-request-header',
    'missing-response-header',
    'unsafe-response-header',
    'wrong-port',
  ])
  for (const one of found) expect(examined(given, mended(thingsOf(given), one))).toEqual([])
})

it('names the rule of each finding about one, for the status of its policy', () => {
  const [found] = examined(http({ path: '/x' }))
  expect(found?.key).toEqual({ namespace: 'shop', route: 'cart', rule: 'pay' })
})

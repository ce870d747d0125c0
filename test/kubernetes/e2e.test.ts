import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { writtenAncestors } from '../../src/registration/written-ancestors.ts'
import { valuesOf } from '../support/backend.ts'
import {
  ada,
  credential,
  gatewayAt,
  grant,
  labels,
  mark,
  policy,
  route,
  site,
  staff,
} from '../support/cluster-manifests.ts'
import type { RuleShape } from '../support/cluster-manifests.ts'
import { clusterStage, describeCluster } from '../support/cluster-stage.ts'
import type { ClusterStage } from '../support/cluster-stage.ts'
import type { KubeObject } from '../support/kube-client.ts'
import { pathCorpus } from '../support/path-corpus.ts'
import { until } from '../support/program.ts'
import { inParallel } from '../support/traffic.ts'

/*
 * Everything as it is in a cluster, and all of it real: HTTPRoutes and AuthPolicies on an API server; a controller that makes
 * Envoy's configuration of them as Cilium does; `gatehouse serve --kubernetes` as its own process; a backend. Whoever presents
 * no credential marks the request, and no marked request may ever arrive.
 */

/** The announcement's example with the two changes without which no API server takes it, and nothing else. */
const announced = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: require-auth, namespace: default }
spec:
  parentRefs: [ { name: your-gateway-here } ]
  rules:
    - matches: [ { path: { type: PathPrefix, value: /admin } } ]
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            backendRef: { name: auth-service, port: 9003 }
            http: { allowedHeaders: [Host, Method, Path, Content-Length, Authorization] }
      backendRefs: [ { name: admin-backend, port: 8080 } ]
`

const gatewayApi = 'gateway.networking.k8s.io/v1'

await describeCluster('a cluster, end to end', suite)

function suite(): void {
  let stage: ClusterStage

  beforeAll(async () => {
    stage = await clusterStage({ matching: 9003 })
  }, 240_000)

  afterAll(() => stage?.close(), 60_000)

  describe("the announcement's require-auth", () => {
    const root = credential('root', 'analytical-engine')
    const scenario = readFileSync(resolve(import.meta.dirname, '../../policies/require-auth/policy.yaml'), 'utf8')

    /** Status, reason and message of `Enforced` as soon as they are so. */
    /** With requests meanwhile where it is to be True: those from before a change was looked at prove nothing of what it left. */
    async function enforced(wanted: 'True' | 'Unknown'): Promise<string> {
      const at = '/apis/gatehouse.dev/v1alpha1/namespaces/default/authpolicies/admins'
      let told = ''
      await until(
        async () => {
          if (wanted === 'True') await stage.ask({ path: '/admin', headers: [mark] })
          const [ancestor] = writtenAncestors((await stage.api.request('GET', at)).body)
          const found = ancestor?.conditions.find(({ type }) => type === 'Enforced')
          return (told = `${found?.status} ${found?.reason} ${found?.message}`).startsWith(wanted)
        },
        () => `Enforced is ${told}`,
        10_000,
      )
      return told
    }

    beforeAll(async () => {
      const [admins, credentials] = parseAllDocuments(scenario)
        .map((one) => one.toJS() as KubeObject)
        .slice(1)
      await stage.api.apply(
        announced.replace('9003', String(stage.ports.matching)),
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { namespace: 'default', name: 'admin-backend' },
          spec: { ports: [{ port: 8080, targetPort: stage.backend.port }] },
        },
        admins ?? {},
        { ...credentials, metadata: { ...credentials?.metadata, labels } },
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { path: '/admin/users', headers: [root] })
    })

    it('lets in who knows the password, and tells the backend who that is', async () => {
      expect(await stage.judged({ path: '/admin/users?page=2', headers: [root, ['X-User', 'spoofed']] })).toEqual([
        200,
        'allow',
      ])
      expect(stage.backend.seen.at(-1)?.url).toBe('/admin/users?page=2')
      expect(valuesOf(stage.backend.seen.at(-1), 'x-user')).toEqual(['root'])
    })

    it.each([
      ['nobody', [mark], 'no-credential'],
      ['a wrong password', [mark, credential('root', 'guess')], 'bad-credential'],
      ['an unknown user', [mark, credential('ada', 'notes')], 'bad-credential'],
      ['another scheme', [mark, ['Authorization', 'Bearer x']], 'unsupported-credential'],
    ] as const)('refuses %s', async (_, headers, reason) => {
      expect(await stage.judged({ path: '/admin', headers })).toEqual([403, reason])
    })

    it(
      'NRM-01 NRM-02 NRM-20 lets no path trick through, with a credential or without',
      { timeout: 60_000 },
      async () => {
        const before = stage.backend.requests()
        const corpus = pathCorpus({ open: 'admin', guarded: 'admin' }).filter((_, index) => index % 8 === 0)
        const answers = new Map<number, number>()
        await inParallel(8, corpus, async (path) => {
          const { status } = await stage.ask({ path, headers: [mark] })
          answers.set(status, (answers.get(status) ?? 0) + 1)
        })
        expect(stage.backend.requests()).toBe(before)
        expect([...answers.keys()].filter((status) => status < 400 || status >= 500)).toEqual([])
        // Some of the corpus does get as far as Gatehouse, and is refused there.
        expect(answers.get(403)).toBeGreaterThan(50)
        for (const path of [
          '/admin/../x',
          '/admin/%2e%2e/x',
          '/admin//x',
          '/admin/x%2fy',
          '/admin/./x',
          '/admin\\x',
          '/admin/..;/x',
        ])
          expect([path, (await stage.ask({ path, headers: [root] })).status]).toEqual([
            path,
            path === '/admin\\x' ? 404 : 403,
          ])
      },
    )

    it('is called an error by `gatehouse check --kubernetes`, for the list that it lacks', async () => {
      const { code, output } = await checkCluster(stage.kubeconfig)
      expect(code).toBe(1)
      expect(output).toMatch(/HTTPRoute default\/require-auth[^]*error: allowedResponseHeaders is empty/)
    })

    // GATEWAYS.md §G.1: without the list, the answer's own content-length takes the place of the client's.
    it('brings a body to the backend as a body, not as a request of its own', async () => {
      const before = stage.backend.requests()
      const body = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
      await stage.ask({ method: 'POST', path: '/admin/form', headers: [root], body })
      await new Promise((done) => setTimeout(done, 300))
      expect(stage.backend.seen.slice(before).map((one) => [one.url, one.body])).toEqual([['/admin/form', body]])
    })

    it('becomes Enforced: True after a request, with what is wrong beside it, and without once the list is there', async () => {
      const checked = /^True Enforced Requests through Gateway default\/your-gateway-here are checked: require-auth\/_ /
      expect(await enforced('True')).toMatch(checked)
      expect(await enforced('True')).toMatch(
        / But something is wrong at require-auth\/_: allowedResponseHeaders is empty/,
      )
      const [mended] = parseAllDocuments(scenario).map((one) => one.toJS() as KubeObject)
      await stage.api.apply(JSON.parse(JSON.stringify(mended).replace('9003', String(stage.ports.matching))))
      expect(await enforced('Unknown')).toMatch(/^Unknown NoCheckSeen /)
      await stage.gateway.caughtUp()
      expect(await stage.judged({ path: '/admin', headers: [mark] })).toEqual([403, 'no-credential'])
      const all = await enforced('True')
      expect(all).toMatch(checked)
      expect(all).not.toMatch(/wrong/)
    })
  })

  describe('a rule that its filter names, with tokens', () => {
    let token: (claims?: object, expires?: string) => Promise<string>
    const bearer = (text: string) => ['Authorization', `Bearer ${text}`] as const
    const key = '/v1/check/shop/cart/pay/-'

    beforeAll(async () => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
      const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }
      token = (claims = {}, expires = '5m') =>
        new SignJWT({ iss: 'https://idp.example.com', aud: 'cart', sub: 'grace', ...claims })
          .setProtectedHeader({ alg: 'ES256', kid: 'k' })
          .setIssuedAt()
          .setExpirationTime(expires)
          .sign(privateKey)
      const jwt = {
        issuer: 'https://idp.example.com',
        audiences: ['cart'],
        algorithms: ['ES256'],
        jwks: { ref: { kind: 'ConfigMap', name: 'keys', key: 'jwks.json' } },
      }
      const tokens = {
        authentication: [{ jwt }],
        response: { headers: [{ name: 'x-user', value: { claim: ['sub'] } }] },
        unauthenticated: { respond: 'Challenge' },
      }
      await stage.api.apply(
        ...site('shop', stage.backend.port),
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { namespace: 'shop', name: 'keys', labels },
          data: { 'jwks.json': JSON.stringify({ keys: [jwk] }) },
        },
        route('shop', 'cart', 'shop.test', [
          { name: 'pay', path: '/pay', ask: { port: stage.ports.http, path: key } },
          { name: 'call', path: '/call', grpc: stage.ports.grpc },
          { name: 'open', path: '/open' },
          {
            name: 'elsewhere',
            path: '/elsewhere',
            ask: { port: stage.ports.matching, path: '/v1/check/shop/cart/elsewhere/-' },
          },
        ]),
        policy('shop', 'cart', 'cart', undefined, tokens),
        ...site('mallory', stage.backend.port),
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { path: '/pay', host: 'shop.test', headers: [bearer(await token())] })
    })

    it('takes a good token, its body and all, and puts its own identity header in place of the client’s', async () => {
      const before = stage.backend.requests()
      const { status } = await stage.ask({
        method: 'POST',
        path: '/pay/7?x=1',
        host: 'shop.test',
        body: 'two lamps',
        headers: [bearer(await token()), ['X-User', 'root'], ['x_user', 'root'], ['X-User', 'root']],
      })
      const seen = stage.backend.seen.at(-1)
      expect([status, stage.backend.requests() - before, seen?.url, seen?.body]).toEqual([
        200,
        1,
        '/pay/7?x=1',
        'two lamps',
      ])
      expect(valuesOf(seen, 'x-user')).toEqual(['grace'])
      expect(seen?.rawHeaders).not.toContain('root')
    })

    it.each([
      ['no token', [mark], 401, 'no-credential'],
      ['another issuer', [mark, { iss: 'https://evil.example' }], 401, 'unsupported-credential'],
      ['another audience', [mark, { aud: 'wiki' }], 401, 'bad-credential'],
      ['an old token', [mark, { sub: 'old' }, '-5m'], 401, 'expired-credential'],
    ] as const)('challenges %s', async (_, [anonymous, claims, expires], status, reason) => {
      const headers = claims === undefined ? [anonymous] : [anonymous, bearer(await token(claims, expires))]
      const before = stage.gate.decisions.length
      const { all } = await stage.ask({ path: '/pay', host: 'shop.test', headers })
      await until(
        () => stage.gate.decisions.length > before,
        () => 'no decision',
        5000,
      )
      expect(await stage.judged({ path: '/pay', host: 'shop.test', headers })).toEqual([status, reason])
      expect(all('www-authenticate').join()).toMatch(/^Bearer/)
    })

    it('NRM-10 keeps a client within the rule however its path climbs', async () => {
      for (const path of ['/pay/../../../cart/open/-/x', '/pay/%2e%2e/%2e%2e/open/-', '/pay/..%2f..%2fopen/-/x'])
        expect([path, ...(await stage.judged({ path, host: 'shop.test', headers: [mark] }))]).toEqual([
          path,
          400,
          'ambiguous-target',
        ])
      expect(stage.gate.decisions.filter(({ via, rule }) => via === 'check' && rule === 'shop/cart/open')).toEqual([])
    })

    it('serves a filter over gRPC by matching', async () => {
      expect(await stage.judged({ path: '/call', host: 'shop.test', headers: [bearer(await token())] })).toEqual([
        200,
        'allow',
      ])
      expect(valuesOf(stage.backend.seen.at(-1), 'x-user')).toEqual(['grace'])
      expect(stage.gate.decisions.at(-1)).toMatchObject({ rule: 'shop/cart/call' })
      expect(await stage.judged({ path: '/call', host: 'shop.test', headers: [mark] })).toEqual([401, 'no-credential'])
    })

    it('leaves a rule without a filter to the gateway, which never asks', async () => {
      const before = stage.gate.decisions.length
      expect((await stage.ask({ path: '/open', host: 'shop.test' })).status).toBe(200)
      expect(stage.gate.decisions.length).toBe(before)
    })

    it('CFG-07 has the gateway refuse to ask for a namespace without a ReferenceGrant, before it is granted and after', async () => {
      const sent = { path: '/', host: 'granted.test' }
      await stage.api.apply(
        ...site('granted', stage.backend.port).filter(({ kind }) => kind !== 'ReferenceGrant'),
        route('granted', 'site', 'granted.test', [{ name: 'all', ask: { port: stage.ports.matching } }]),
        policy('granted', 'site', 'site', undefined, staff),
      )
      await stage.gateway.caughtUp()
      expect((await stage.ask({ ...sent, headers: [mark, ada] })).status).toBe(500)
      await stage.api.apply(grant('granted'))
      await stage.becomes(200, { ...sent, headers: [ada] })
      await stage.remove(grant('granted'))
      await stage.gateway.caughtUp()
      expect((await stage.ask({ ...sent, headers: [mark, ada] })).status).toBe(500)
    })

    describe('a key that does not fit', () => {
      const good = async () => [mark, bearer(await token())]
      beforeAll(async () => {
        await stage.api.apply(
          route('mallory', 'steal', 'mallory.test', [{ name: 'all', ask: { port: stage.ports.http, path: key } }]),
          route('mallory', 'borrow', 'borrow.test', [
            { name: 'open', path: '/open', ask: { port: stage.ports.http, path: '/v1/check/shop/cart/open/-' } },
            { name: 'lost', path: '/lost', ask: { port: stage.ports.http, path: '/v1/check/shop/cart/lost/-' } },
            { name: 'bad', path: '/bad', ask: { port: stage.ports.http, path: '/v1/check/shop/cart/pay' } },
            { name: 'call', path: '/call', ask: { port: stage.ports.http, path: '/v1/check/shop/cart/call/-' } },
          ]),
          route('shop', 'copy', 'shop.test', [
            { name: 'all', path: '/copy', ask: { port: stage.ports.http, path: key } },
          ]),
          route('mallory', 'guest', 'shop.test', [
            { name: 'part', path: '/pay/part', ask: { port: stage.ports.http, path: key } },
          ]),
        )
        await stage.gateway.caughtUp()
        // A gateway may know of a route some moments before Gatehouse does.
        for (const path of ['/copy', '/pay/part'])
          await stage.becomes(403, { path, host: 'shop.test', headers: [bearer(await token())] })
      })

      it.each([
        ['another route’s key, from a host that is not its', { path: '/', host: 'mallory.test' }, 'identity-mismatch'],
        ['a rule without a filter of ours', { path: '/open', host: 'borrow.test' }, 'identity-mismatch'],
        ['a rule whose filter speaks gRPC', { path: '/call', host: 'borrow.test' }, 'identity-mismatch'],
        ['a rule that does not exist', { path: '/lost', host: 'borrow.test' }, 'unknown-rule'],
        ['a path that is no key', { path: '/bad', host: 'borrow.test' }, 'bad-key'],
        ['a key of the same host that another rule carries', { path: '/copy', host: 'shop.test' }, 'identity-mismatch'],
        ['the same from another namespace', { path: '/pay/part', host: 'shop.test' }, 'identity-mismatch'],
        ['a keyed path at the matching port', { path: '/elsewhere', host: 'shop.test' }, 'no-match'],
      ] as const)('refuses %s', async (_, sent, reason) => {
        expect(await stage.judged({ ...sent, headers: await good() })).toEqual([403, reason])
      })

      it('R4 leaves the rule to whom it belongs, whoever else carries its key', async () => {
        for (const path of ['/pay', '/pay/parts', '/pay/7'])
          expect([
            path,
            ...(await stage.judged({ path, host: 'shop.test', headers: [bearer(await token())] })),
          ]).toEqual([path, 200, 'allow'])
      })

      it('refuses a direct call for a rule without our filter on its own host', async () => {
        const sent = {
          port: stage.ports.http,
          path: '/v1/check/shop/cart/open/-/open',
          host: 'shop.test',
          headers: await good(),
        }
        expect(await stage.judged(sent)).toEqual([403, 'identity-mismatch'])
      })
    })

    describe('the dialect of NGINX Gateway Fabric', () => {
      const asNgf = async () => ({
        port: stage.ports.http,
        path: '/v1/ngf/shop/fabric/all',
        host: 'fabric.test',
        headers: [bearer(await token()), ['Path', '/x'], ['Method', 'GET']] as const,
      })
      const accepted = async (controllerName: string): Promise<void> => {
        const object = { apiVersion: gatewayApi, kind: 'HTTPRoute', metadata: { namespace: 'shop', name: 'fabric' } }
        const condition = {
          type: 'Accepted',
          status: 'True',
          reason: 'Accepted',
          message: '',
          lastTransitionTime: new Date().toISOString(),
        }
        const status = { parents: [{ parentRef: { name: 'fabric' }, controllerName, conditions: [condition] }] }
        const answer = await stage.api.request(
          'PATCH',
          `${await stage.api.path(object)}/status?fieldManager=ngf&force=true`,
          { ...object, status },
          'application/apply-patch+yaml',
        )
        expect(answer.status).toBe(200)
      }
      const says = (reason: string) =>
        until(
          async () => (await stage.judged(await asNgf()))[1] === reason,
          () => `not ${reason}: ${JSON.stringify(stage.gate.decisions.at(-1))}`,
          5000,
        )

      it('is believed only where that controller accepted the route', async () => {
        const fabric = route('shop', 'fabric', 'fabric.test', [
          { name: 'all', ask: { port: stage.ports.http, path: '/v1/ngf/shop/fabric/all' } },
        ])
        await stage.api.apply(
          { ...fabric, spec: { ...fabric.spec, parentRefs: [{ name: 'fabric' }] } },
          policy('shop', 'fabric', 'fabric', 'all', {
            authentication: [
              {
                jwt: {
                  issuer: 'https://idp.example.com',
                  audiences: ['cart'],
                  algorithms: ['ES256'],
                  jwks: { ref: { kind: 'ConfigMap', name: 'keys', key: 'jwks.json' } },
                },
              },
            ],
          }),
        )
        await says('identity-mismatch')
        await accepted('example.com/somebody-else')
        await new Promise((done) => setTimeout(done, 1000))
        expect(await stage.judged(await asNgf())).toEqual([403, 'identity-mismatch'])
        await accepted('gateway.nginx.org/nginx-gateway-controller')
        await says('allow')
        await accepted('example.com/somebody-else')
        await says('identity-mismatch')
      })
    })
  })

  describe('what two rules could mean', () => {
    beforeAll(async () => {
      await stage.api.apply(
        ...site('rules', stage.backend.port),
        route('rules', 'wide', 'wide.test', [{ name: 'all', ask: { port: stage.ports.matching } }]),
        policy('rules', 'wide', 'wide', undefined, staff),
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { path: '/secure', host: 'wide.test', headers: [ada] })
    })

    it('denies a check for what an open rule would have answered', async () => {
      // The gateway does not know of the open rule yet, Gatehouse does: their pictures differ.
      await stage.gateway.pause()
      try {
        await stage.api.apply(route('rules', 'narrow', 'wide.test', [{ name: 'open', path: '/secure/open' }]))
        await stage.becomes(403, { path: '/secure/open', host: 'wide.test', headers: [ada] })
        expect(await stage.judged({ path: '/secure/open', host: 'wide.test', headers: [ada] })).toEqual([
          403,
          'no-match',
        ])
        expect(await stage.judged({ path: '/secure', host: 'wide.test', headers: [ada] })).toEqual([200, 'allow'])
      } finally {
        stage.gateway.resume()
      }
      await stage.gateway.caughtUp()
      expect((await stage.ask({ path: '/secure/open', host: 'wide.test' })).status).toBe(200)
      expect((await stage.ask({ path: '/secure', host: 'wide.test', headers: [mark] })).status).toBe(403)
    })

    describe('a stranger’s route for the same host, with a policy that lets everybody in', () => {
      const trap = (parentRefs: readonly object[], hosts: string, rule: RuleShape) => {
        const whole = route('mallory', 'trap', hosts, [rule])
        return { ...whole, spec: { ...whole.spec, parentRefs } }
      }
      const none = [{ name: 'none', namespace: 'default' }]
      const closed = [{ name: 'closed', namespace: 'default' }]
      const ask = () => ({ port: stage.ports.matching })
      let turn = 0

      beforeAll(async () => {
        const [, open] = gatewayAt(1)
        // Nobody serves it, and it takes no routes of other namespaces.
        const listeners = [{ name: 'http', protocol: 'HTTP', port: 8080 }]
        await stage.api.apply(
          ...site('mallory', stage.backend.port),
          {
            ...open,
            metadata: { namespace: 'default', name: 'closed' },
            spec: { gatewayClassName: 'nobody', listeners },
          },
          policy('mallory', 'trap', 'trap', undefined, { guest: { subject: 'anybody' } }),
        )
      })

      it.each<readonly [string, readonly object[], string, () => RuleShape]>([
        ['at a Gateway that does not exist', none, 'wide.test', () => ({ name: 'all', path: '/secure', ask: ask() })],
        ['without parents', [], 'wide.test', () => ({ name: 'all', path: '/secure', ask: ask() })],
        ['at a Gateway that refuses it', closed, 'wide.test', () => ({ name: 'all', path: '/secure', ask: ask() })],
        ['for every path of a nearer host', none, 'deep.wild.test', () => ({ name: 'all', ask: ask() })],
        ['without a filter', none, 'wide.test', () => ({ name: 'all', path: '/secure' })],
      ])('takes none of its requests: %s', async (_, parents, host, rule) => {
        await stage.api.apply(
          route('rules', 'wild', '*.wild.test', [{ name: 'all', ask: ask() }]),
          policy('rules', 'wild', 'wild', undefined, staff),
          trap(parents, host, rule()),
          // Whatever was written before this is known when this one answers.
          route('rules', 'last', 'last.test', [{ name: 'all', path: `/${(turn += 1)}`, ask: ask() }]),
          policy('rules', 'last', 'last', undefined, staff),
        )
        await stage.gateway.caughtUp()
        await stage.becomes(200, { path: `/${turn}`, host: 'last.test', headers: [ada] })
        await stage.becomes(200, { path: '/secure', host, headers: [ada] })
        expect(await stage.judged({ path: '/secure', host, headers: [ada] })).toEqual([200, 'allow'])
        expect(stage.gate.decisions.at(-1)?.rule).toMatch(/^rules\/(wide|wild)\/all$/)
        expect(await stage.judged({ path: '/secure', host, headers: [mark] })).toEqual([403, 'no-credential'])
      })

      it('takes them where the gateway accepted it, as the gateway does', async () => {
        const here = [{ name: 'your-gateway-here', namespace: 'default' }]
        await stage.api.apply(trap(here, 'wide.test', { name: 'all', path: '/secure/trap', ask: ask() }))
        await stage.gateway.caughtUp()
        await stage.becomes(200, { path: '/secure/trap', host: 'wide.test' })
        expect(stage.gate.decisions.at(-1)?.rule).toBe('mallory/trap/all')
        expect(await stage.judged({ path: '/secure', host: 'wide.test', headers: [mark] })).toEqual([
          403,
          'no-credential',
        ])
      })
    })

    it(
      'duplicate rule names are refused by the API server, and denied where an old definition let them in',
      { timeout: 60_000 },
      async () => {
        const twice = route('rules', 'twice', 'twice.test', [
          { name: 'same', path: '/a', ask: { port: stage.ports.http, path: '/v1/check/rules/twice/same/-' } },
          { name: 'same', path: '/b', ask: { port: stage.ports.http, path: '/v1/check/rules/twice/same/-' } },
          { name: 'other', path: '/c', ask: { port: stage.ports.http, path: '/v1/check/rules/twice/other/-' } },
        ])
        await expect(stage.api.apply(twice)).rejects.toThrow(/Rule name must be unique/)
        const definition = readFileSync(
          resolve(import.meta.dirname, 'crds/v1.4.1/gateway.networking.k8s.io_httproutes.yaml'),
          'utf8',
        )
        await stage.api.apply(
          withoutRule(
            parseAllDocuments(definition)[0]?.toJS(),
            'Rule name must be unique within the route',
          ) as KubeObject,
        )
        await until(
          () =>
            stage.api.apply(twice).then(
              () => true,
              () => false,
            ),
          () => 'the old definition is not in force',
          20_000,
        )
        await stage.api.apply(policy('rules', 'twice', 'twice', undefined, staff))
        await stage.gateway.caughtUp()
        await stage.becomes(200, { path: '/c', host: 'twice.test', headers: [ada] })
        expect(await stage.judged({ path: '/a', host: 'twice.test', headers: [mark, ada] })).toEqual([
          403,
          'duplicate-rule',
        ])
        expect(await stage.judged({ path: '/b', host: 'twice.test', headers: [mark, ada] })).toEqual([
          403,
          'duplicate-rule',
        ])
      },
    )

    it('asks Gatehouse before the gateway answers a CORS preflight', async () => {
      const cors = { type: 'CORS', cors: { allowOrigins: ['https://app.test'], allowMethods: ['GET'] } }
      await stage.api.apply(
        route('rules', 'cors', 'cors.test', [
          { name: 'strict', path: '/strict', ask: { port: stage.ports.matching }, filters: [cors] },
          { name: 'lenient', path: '/lenient', ask: { port: stage.ports.matching }, filters: [cors] },
        ]),
        policy('rules', 'cors', 'cors', undefined, staff),
        policy('rules', 'cors-lenient', 'cors', 'lenient', { ...staff, preflight: 'Allow' }),
      )
      await stage.gateway.caughtUp()
      await stage.becomes(200, { path: '/lenient', host: 'cors.test', headers: [ada] })
      const preflight = {
        method: 'OPTIONS',
        host: 'cors.test',
        headers: [
          ['Origin', 'https://app.test'],
          ['Access-Control-Request-Method', 'GET'],
        ],
      } as const
      const before = stage.backend.requests()
      expect(await stage.judged({ ...preflight, path: '/strict' })).toEqual([403, 'no-credential'])
      expect(await stage.judged({ ...preflight, path: '/lenient' })).toEqual([200, 'allow'])
      expect((await stage.ask({ ...preflight, path: '/lenient' })).all('access-control-allow-origin')).toEqual([
        'https://app.test',
      ])
      expect(stage.backend.requests()).toBe(before)
    })
  })

  it('let no stranger in, all the time, and told no secret', () => {
    expect(stage.strangers()).toEqual([])
    expect(stage.gate.output()).not.toMatch(/notes|analytical-engine|\{SHA\}[\w+/]/)
  })
}

/** The command as an operator runs it. */
async function checkCluster(kubeconfig: string): Promise<{ readonly code: number; readonly output: string }> {
  const args = ['src/main.ts', 'check', '--kubernetes', '--service=default/auth-service']
  const options = { cwd: resolve(import.meta.dirname, '../..'), env: { ...process.env, KUBECONFIG: kubeconfig } }
  return new Promise((done) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    )
  })
}

/** A definition without the validation rules of this message. */
function withoutRule(value: unknown, message: string): unknown {
  if (Array.isArray(value)) return value.map((one) => withoutRule(one, message))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      name === 'x-kubernetes-validations' && Array.isArray(inner)
        ? inner.filter((rule: { readonly message?: string }) => rule.message !== message)
        : withoutRule(inner, message),
    ]),
  )
}

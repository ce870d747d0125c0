import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { check } from '../../src/command/check.ts'
import { showReport } from '../../src/command/show-report.ts'
import { examine } from '../../src/doctor/examine.ts'
import { ruleNeeds } from '../../src/doctor/rule-needs.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import { offlineServices } from '../../src/services.ts'
import { defaultSettings } from '../../src/settings.ts'
import { readDirectory } from '../../src/source/files.ts'
import { readManifests } from '../support/manifests.ts'
import { needs } from './wiring.ts'

// As the Gateway API announced the filter, with the two mends without which it does not apply: no rule name, no http.path, no
// allowedResponseHeaders.
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

describe("the announcement's example", () => {
  const rules = [needs({ key: { namespace: 'default', route: 'require-auth', rule: '_' }, policy: 'default/admins' })]
  const world = worldOf(readManifests(announced))

  it.each([
    ['in a directory', undefined],
    ['in a cluster', { namespace: 'default', name: 'auth-service', ports: { grpc: 9001, http: 9002, matching: 9003 } }],
  ])('gets three findings: %s', (_, us) => {
    expect(examine({ world, us, rules }).map(({ severity, code }) => [severity, code])).toEqual([
      ['error', 'empty-response-headers'],
      ['note', 'missing-path'],
      ['note', 'unnamed-rule'],
    ])
  })

  it('is shown with its place and the YAML that mends it, once', async () => {
    const report = await check({ manifests: readManifests(announced), problems: [] }, defaultSettings(), undefined)
    const [found] = report.findings.filter(({ code }) => code === 'empty-response-headers')
    const shown = showReport(
      { ...report, findings: found === undefined ? [] : [found, { ...found, severity: 'note' }] },
      { width: 120, paint: (_, text) => text },
    )
    expect(shown.join('\n')).toMatchInlineSnapshot(`
      "HTTPRoute default/require-auth
        test.yaml:14: error: allowedResponseHeaders is empty: gateways then copy content-length too, and one that does not
            take it off again when Gatehouse says so (Envoy does) makes the body a second, unchecked request
            [empty-response-headers]
          at   spec.rules[0].filters[0].externalAuth.http.allowedResponseHeaders
          mend list the headers that the policy sets
               # HTTPRoute default/require-auth: spec.rules[0].filters[0]
               - type: ExternalAuth
                 externalAuth:
                   protocol: HTTP
                   backendRef:
                     name: auth-service
                     port: 9002
                   http:
                     path: /v1/check/default/require-auth/_/-
                     allowedHeaders:
                       - Host
                       - Method
                       - Path
                       - Content-Length
                       - Authorization
                     allowedResponseHeaders:
                       - x-gatehouse
        test.yaml:14: note: allowedResponseHeaders is empty: gateways then copy content-length too, and one that does not take
            it off again when Gatehouse says so (Envoy does) makes the body a second, unchecked request
            [empty-response-headers]
          at   spec.rules[0].filters[0].externalAuth.http.allowedResponseHeaders
          mend list the headers that the policy sets (the YAML above does it too)

      0 rules protected, 1 refusing everything, 1 error, 1 note in 1 object"
    `)
  })
})

describe('our own policies', () => {
  it('get only what is true of them', async () => {
    const { manifests } = await readDirectory('policies')
    const services = offlineServices()
    const { snapshot, sites } = createCompiler(services)(manifests)
    const rules = ruleNeeds(sites)
    const found = examine({ world: worldOf(manifests), us: undefined, rules })
    snapshot.release()
    await services.close()
    expect(found.map(({ severity, code, object }) => `${severity} ${code} ${object.name}`)).toEqual([
      'note missing-path require-auth',
      'note unnamed-rule require-auth',
    ])
  })
})

import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { showDiagnosis } from '../../src/command/show-diagnosis.ts'
import { examine } from '../../src/doctor/examine.ts'
import { ruleNeeds } from '../../src/doctor/rule-needs.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import { offlineServices } from '../../src/services.ts'
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

  it('is shown with its place and the YAML that mends it', () => {
    const [found] = examine({ world, us: undefined, rules })
    expect(found === undefined ? '' : showDiagnosis(found)).toBe(
      [
        'test.yaml:14: error: HTTPRoute default/require-auth › spec.rules[0].filters[0].externalAuth.http.allowedResponseHeaders: allowedResponseHeaders is empty: gateways then copy content-length too, and the backend takes the body for a second, unchecked request; list the headers that the policy sets [empty-response-headers]',
        '    # HTTPRoute default/require-auth: spec.rules[0].filters[0]',
        '    - type: ExternalAuth',
        '      externalAuth:',
        '        protocol: HTTP',
        '        backendRef:',
        '          name: auth-service',
        '          port: 9002',
        '        http:',
        '          path: /v1/check/default/require-auth/_/-',
        '          allowedHeaders:',
        '            - Host',
        '            - Method',
        '            - Path',
        '            - Content-Length',
        '            - Authorization',
        '          allowedResponseHeaders:',
        '            - x-user',
      ].join('\n'),
    )
  })
})

describe('our own policies', () => {
  it('get only what is true of them', async () => {
    const { manifests } = await readDirectory('policies')
    const services = offlineServices()
    const { snapshot, reports } = createCompiler(services)(manifests)
    const rules = ruleNeeds(snapshot.rules, reports())
    const found = examine({ world: worldOf(manifests), us: undefined, rules })
    snapshot.release()
    await services.close()
    expect(found.map(({ severity, code, object }) => `${severity} ${code} ${object.name}`)).toEqual([
      'note missing-path require-auth',
      'note unnamed-rule require-auth',
    ])
  })
})

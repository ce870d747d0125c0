import { afterAll, describe, expect, it } from 'vitest'
import { showPath } from '../../src/model/result.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Compiler } from '../../src/policy/compile.ts'
import { offlineServices } from '../../src/services.ts'
import { readManifests } from '../support/manifests.ts'

const services = offlineServices()
afterAll(() => services.close())

const errors = (yaml: string, compiler: Compiler = createCompiler(services)): readonly string[] =>
  compiler(readManifests(yaml)).problems.flatMap(({ severity, code, path, say }) =>
    severity === 'error' ? [`${code} ${showPath(path)}${say.includes('stays in force') ? ' (stays)' : ''}`] : [],
  )

const policy = (spec: string): string => `
---
apiVersion: gatehouse.dev/v1alpha1
kind: AuthPolicy
metadata: { namespace: shop, name: staff }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart, sectionName: pay }]
${spec.replaceAll(/^/gm, '  ')}
`
const users = `
---
apiVersion: v1
kind: Secret
metadata: { namespace: shop, name: users }
stringData: { .htpasswd: 'ada:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=' }
`
const broken = `
authentication:
  - basic: { usersRef: 7 }
  - name: second
    basic: { usersRef: { name: none } }
  - name: second
    introspection: { endpoint: 'http://idp.example', audiences: [a], client: { idRef: { name: none }, secretRef: { name: none } } }
authorization:
  - nonsense: true
  - cel: '1 +'
response:
  headers:
    - { name: content-length, value: { text: a } }
    - { name: x-one, value: { text: a, cel: b } }
    - { name: x-two, value: { cel: 'nobody.knows(' } }
  remove: [7, host]
`

describe('a document that breaks the schema', () => {
  it('is told with all that is wrong besides, at its own places', () => {
    expect(errors(policy(broken)).toSorted()).toEqual([
      'bad-cel spec.authorization[1].cel',
      'bad-cel spec.response.headers[2].value.cel',
      'bad-value spec.authentication[0].basic.usersRef',
      'bad-value spec.authentication[2].name',
      'bad-value spec.response.headers[1].value',
      'bad-value spec.response.remove[0]',
      'forbidden-header spec.response.headers[0].name',
      'forbidden-header spec.response.remove[1]',
      'insecure-url spec.authentication[2].introspection.endpoint',
      'missing-reference spec.authentication[1].basic.usersRef.name',
      'missing-reference spec.authentication[2].introspection.client.idRef.name',
      'missing-reference spec.authentication[2].introspection.client.secretRef.name',
      'unknown-key spec.authorization[0].nonsense',
    ])
  })

  it('is not told that nothing is left, where what is left only cannot be read', () => {
    expect(errors(policy('authentication: [{ basic: 7 }]'))).toEqual(['bad-value spec.authentication[0].basic'])
    expect(errors(policy('guset: { subject: a }'))).toEqual(['unknown-key spec.guset'])
  })

  it('is told of a misspelt key once, and of what an object lacks where none is', () => {
    const misspelt = "authentication: [{ basik: { usersRef: { name: a } } }]\nauthorization: [{ cell: 'true' }]"
    expect(errors(policy(misspelt)).toSorted()).toEqual([
      'unknown-key spec.authentication[0].basik',
      'unknown-key spec.authorization[0].cell',
    ])
    expect(errors(policy('authentication: [{ name: a }]'))).toEqual(['bad-value spec.authentication[0]'])
  })

  it.each(['spec: 7', 'spec: []', 'spec: { authentication: 7, response: 7, authorization: { a: b } }'])(
    'says nothing more of what has no parts: %s',
    (text) => {
      const told = errors(`---\napiVersion: gatehouse.dev/v1alpha1\nkind: AuthPolicy\nmetadata: { name: a }\n${text}\n`)
      expect(told.length).toBeGreaterThan(0)
      expect(told.filter((line) => !line.startsWith('bad-value '))).toEqual([])
    },
  )

  it('is told as well where the last good version stays in force, and follows what it refers to', () => {
    const compiler = createCompiler(services)
    const good = 'authentication: [{ basic: { usersRef: { name: users } } }]'
    expect(errors(policy(good) + users, compiler)).toEqual([])
    const bad = policy(`mode: Sometimes\n${good}`)
    expect(errors(bad + users, compiler)).toEqual(['bad-value spec.mode (stays)'])
    expect(errors(bad, compiler)).toEqual([
      'bad-value spec.mode (stays)',
      'missing-reference spec.authentication[0].basic.usersRef.name',
    ])
    const worse = bad.replace('mode: Sometimes', 'mode: Sometimes\n  response: { remove: [host] }')
    expect(errors(worse + users, compiler)).toEqual([
      'bad-value spec.mode (stays)',
      'forbidden-header spec.response.remove[0] (stays)',
    ])
    expect(errors(bad + users, compiler)).toEqual(['bad-value spec.mode (stays)'])
  })
})

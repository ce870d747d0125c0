import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { authPolicy, gatewayGroup } from '../../src/policy/document.ts'
import { sharedSpec } from '../../src/policy/shared-spec.ts'

const root = resolve(import.meta.dirname, '../..')

/** Every AuthPolicy of the examples and of the golden files. */
const policies = ['policies', 'test/golden']
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(root, folder, name)),
  )
  .filter((file) => file.endsWith('.yaml'))
  .flatMap((file) => parseAllDocuments(readFileSync(file, 'utf8')).map((one): unknown => one.toJS()))
  .filter((one) => typeof one === 'object' && one !== null && 'kind' in one && one.kind === 'AuthPolicy')

const whole = (object: unknown): unknown => {
  const read = authPolicy.safeParse(object)
  return read.success ? read.data.spec : undefined
}

describe('the spec of an AuthPolicy, read by its fields', () => {
  it('is what the whole schema gives, at the first reading and at the next', () => {
    expect(policies.length).toBeGreaterThan(20)
    for (const one of [...policies, ...policies]) expect(sharedSpec(one)).toEqual(whole(one))
  })
  it('is refused where the whole schema refuses it, whatever is put where', () => {
    const paths = ['apiVersion', 'kind', 'metadata', 'spec', 'status', 'other']
    const inSpec = ['targetRefs', 'authentication', 'authorization', 'response', 'guest', 'mode', 'other', 'toString']
    const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(undefined, [], {}, 'Shadow', Number.NaN))
    const changed = fc.tuple(fc.constantFrom(...policies), fc.constantFrom(...paths, ...inSpec), odd)
    fc.assert(
      fc.property(changed, ([policy, key, value]) => {
        const before = policy as { spec: object }
        const after = paths.includes(key)
          ? { ...before, [key]: value }
          : { ...before, spec: { ...before.spec, [key]: value } }
        expect(sharedSpec(after)).toEqual(whole(after))
      }),
    )
  })
  it('has the names and targets that the schema takes, and no others', () => {
    const name = fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('a', 'a.b', '0-a', 'x'.repeat(253)) },
      { weight: 1, arbitrary: fc.constantFrom('a-', '-a', 'A', '', 'a\n', 'x'.repeat(254), 'é', undefined) },
      { weight: 1, arbitrary: fc.constantFrom<unknown>(null, 1, ['a'], {}) },
    )
    const usual = fc.record({
      group: fc.constant(gatewayGroup),
      kind: fc.constantFrom('HTTPRoute', 'Gateway'),
      name,
      sectionName: name,
    })
    const odd = fc.record(
      {
        group: fc.constantFrom(gatewayGroup, '', undefined),
        kind: fc.constantFrom('HTTPRoute', 'Service', undefined),
        name,
        other: fc.constant('a'),
      },
      { requiredKeys: [] },
    )
    const target = fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: odd })
    const many = Array.from({ length: 17 }, () => ({ group: gatewayGroup, kind: 'HTTPRoute', name: 'a' }))
    const targetRefs = fc.oneof(
      { weight: 6, arbitrary: fc.array(target, { maxLength: 2 }) },
      { weight: 1, arbitrary: fc.oneof(target, fc.constantFrom<unknown>(null, [null], 'a', many)) },
    )
    const metadata = fc.oneof(
      { weight: 9, arbitrary: fc.record({ name, namespace: name, labels: fc.constant({}) }) },
      { weight: 1, arbitrary: fc.constantFrom([], null) },
    )
    let taken = 0
    fc.assert(
      fc.property(metadata, targetRefs, (given, refs) => {
        const policy = {
          apiVersion: 'gatehouse.dev/v1alpha1',
          kind: 'AuthPolicy',
          metadata: given,
          spec: { targetRefs: refs },
        }
        const read = sharedSpec(policy)
        expect(read).toEqual(whole(policy))
        if (read !== undefined) taken += 1
      }),
      { numRuns: 5000 },
    )
    expect(taken).toBeGreaterThan(200)
  })
  it('is one object for all that say the same, except for what they are for', () => {
    const policy = (name: string): object => ({
      apiVersion: 'gatehouse.dev/v1alpha1',
      kind: 'AuthPolicy',
      metadata: { name },
      spec: {
        targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name }],
        authentication: [{ jwt: { issuer: 'https://a.example', audiences: ['a'], jwks: { discovery: true } } }],
        response: { headers: [{ name: 'x-user', value: { cel: 'identity.subject' } }] },
      },
    })
    const [one, other] = [sharedSpec(policy('one')), sharedSpec(policy('other'))]
    expect(one?.authentication).toBe(other?.authentication)
    expect(one?.response.headers).toBe(other?.response.headers)
    expect([one?.targetRefs[0]?.name, other?.targetRefs[0]?.name]).toEqual(['one', 'other'])
  })
})

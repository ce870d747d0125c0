import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deny, denyReasons } from '../../../src/model/decision.ts'
import type { DenyReason } from '../../../src/model/decision.ts'
import type { AuthRequest } from '../../../src/model/request.ts'
import { encodeResponse } from '../../../src/transport/grpc/check-response.ts'
import { codecOf } from '../../../src/transport/grpc/codec.ts'
import { authorizationService } from '../../../src/transport/grpc/service-names.ts'
import { method } from '../../../src/transport/grpc/definitions.ts'
import { mutated, randomness } from './mutation.ts'
import { attributes, decode, encode, shown } from './serving.ts'

/* The lean codec against protobufjs: the same request or both refuse, the same answer. */

interface Recorded {
  readonly version: string
  readonly checks: readonly { readonly name: string; readonly encoding: string; readonly bytes: string }[]
}

const { version, checks } = JSON.parse(
  await readFile(join(import.meta.dirname, 'recorded/envoy.json'), 'utf8'),
) as Recorded
const lean = await codecOf('lean')
const reference = await codecOf('reference')

const resource = (fields: Readonly<Record<string, string>>): object => ({
  structValue: {
    fields: Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, { stringValue: text }])),
  },
})
const cart = resource({ kind: 'HTTPRoute', namespace: 'shop', name: 'cart', sectionName: 'pay' })
const metadata = {
  filter_metadata: { 'envoy-gateway': { fields: { resources: { listValue: { values: [cart] } } } } },
}
const seeds: readonly Buffer[] = [
  ...checks.map(({ bytes }) => Buffer.from(bytes, 'base64')),
  encode(attributes()),
  encode(attributes({}, { route_metadata_context: metadata, metadata_context: metadata })),
  encode(attributes({}, { route_metadata_context: metadata, context_extensions: {} })),
  encode(attributes({ header_map: { headers: [{ key: 'authorization', value: 'Bearer ada' }] } })),
]

/** Everything that can be asked of a request, as one text. */
function told(request: AuthRequest): string {
  const names = [...request.headers.keys()].toSorted()
  const asked = names.map((name) => [request.headers.has(name), request.headers.get(name)])
  return JSON.stringify([shown(request), request.headers.size, names, asked, request.headers.has('x-none')])
}

describe('reading', () => {
  it.each(checks)(`$name ($encoding) of Envoy ${version}`, ({ bytes }) => {
    const check = Buffer.from(bytes, 'base64')
    const request = lean.read(check, { envoyGatewayMetadata: true })
    expect(request.fault).not.toBe('malformed-request')
    expect(shown(request)).toEqual(shown(reference.read(check, { envoyGatewayMetadata: true })))
  })

  it('CTR-30 a hundred thousand changed checks are the same requests to both', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
    let readable = 0
    for (let n = 0; n < 100_000; n++) {
      const random = randomness(seed + n)
      const bytes = mutated(seeds[n % seeds.length] ?? Buffer.alloc(0), random)
      const trust = { envoyGatewayMetadata: n % 2 === 0 }
      const [one, other] = [lean.read(bytes, trust), reference.read(bytes, trust)]
      if (one.fault !== 'malformed-request') readable += 1
      if (told(one) !== told(other))
        expect.fail(`SEED=${seed + n} ${bytes.toString('base64')}\nlean ${told(one)}\nreference ${told(other)}`)
    }
    expect(readable).toBeGreaterThan(20_000)
  }, 120_000)
})

describe('writing', () => {
  const { responseSerialize } = method(authorizationService, 'Check')
  const text = fc.string({ unit: 'binary', maxLength: 200 })
  const header = fc.record({
    header: fc.record({ key: text, value: text }),
    append_action: fc.constantFrom(0, 2),
  })
  const headers = fc.array(header, { maxLength: 6 })

  it('CTR-10 every response decodes to the same message', () => {
    fc.assert(
      fc.property(headers, fc.array(text), text, fc.integer({ min: 300, max: 499 }), (options, removed, body, code) => {
        const allowed = {
          status: { code: 0 },
          ok_response: {
            headers: options,
            headers_to_remove: removed,
            query_parameters_to_remove: removed.map((name) => `q${name}`),
          },
        } as const
        const denied = {
          status: { code: 16 },
          denied_response: { status: { code }, headers: options, body },
        } as const
        expect(encodeResponse(allowed)).toBe(responseSerialize(allowed).toString('latin1'))
        expect(encodeResponse(denied)).toBe(responseSerialize(denied).toString('latin1'))
      }),
      { numRuns: 2_000 },
    )
  })

  it('CTR-11 every refusal is the same', () => {
    const list = fc.array(fc.tuple(text, text), { maxLength: 4 })
    const reasons = fc.constantFrom(...(Object.keys(denyReasons) as DenyReason[]))
    fc.assert(
      fc.property(reasons, fc.integer({ min: 0, max: 600 }), list, text, (reason, status, headers, body) => {
        const decision = deny(reason, { status, headers, body })
        expect(decode(lean.write(decision))).toEqual(decode(reference.write(decision)))
      }),
    )
  })
})

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import type { AuthRequest } from '../../src/model/request.ts'
import { codecOf } from '../../src/transport/grpc/codec.ts'
import { describeWith } from '../support/describe-with.ts'
import { record } from '../transport/grpc/recorder.ts'
import type { RecordedCheck } from '../transport/grpc/recorder.ts'
import { shown } from '../transport/grpc/serving.ts'

/* What the recorded checks say is still what Envoy sends, but for what is new in each request. */

const trust = { envoyGatewayMetadata: true }
const lean = await codecOf('lean')
const reference = await codecOf('reference')

const lasting = (request: AuthRequest): object => {
  const { headers, ...rest } = shown(request) as { readonly headers: Readonly<Record<string, unknown>> }
  return { ...rest, headers: { ...headers, 'x-request-id': undefined } }
}

await describeWith(['envoy'], 'checks of Envoy', () => {
  let now: readonly RecordedCheck[] = []
  beforeAll(async () => {
    now = await record()
  })

  it('CTR-15 are those that were recorded, to both codecs', async () => {
    const file = join(import.meta.dirname, '../transport/grpc/recorded/envoy.json')
    const { checks } = JSON.parse(await readFile(file, 'utf8')) as {
      readonly checks: readonly { readonly name: string; readonly encoding: string; readonly bytes: string }[]
    }
    expect(now.map(({ name, encoding }) => [name, encoding])).toEqual(
      checks.map(({ name, encoding }) => [name, encoding]),
    )
    for (const [index, { name, bytes }] of now.entries()) {
      const request = lean.read(bytes, trust)
      const before = lean.read(Buffer.from(checks[index]?.bytes ?? '', 'base64'), trust)
      expect(shown(request), name).toEqual(shown(reference.read(bytes, trust)))
      expect(lasting(request), name).toEqual(lasting(before))
    }
  })
})

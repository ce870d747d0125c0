import { status } from '@grpc/grpc-js'
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { method } from '../../../src/transport/grpc/definitions.ts'
import { healthService } from '../../../src/transport/grpc/service-names.ts'
import { attributes, checker, healthClient, serving, snapshot, verdict } from './serving.ts'

const authorization = 'envoy.service.auth.v3.Authorization'
const known = ['', authorization, healthService]
const names = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const shown = (answer: object): string => names['status' in answer ? Number(answer.status) : 0] ?? '?'

describe('REL-21 health', () => {
  let gatehouse: Awaited<ReturnType<typeof serving>>
  let client: ReturnType<typeof healthClient>
  beforeEach(async () => {
    gatehouse = await serving({ unready: true })
    client = healthClient(gatehouse.target)
  })
  afterEach(async () => {
    client.close()
    await gatehouse.server.close({ graceMillis: 100, roundTripMillis: 1 })
  })

  const ask = (name: 'Check' | 'List', request: object): Promise<object> => {
    const { path, requestSerialize, responseDeserialize } = method(healthService, name)
    return new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, answer?: object): void =>
        answer === undefined ? reject(error) : resolve(answer)
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, done)
    })
  }
  const check = async (service: string): Promise<string> => shown(await ask('Check', { service }))
  const watch = (service: string) => {
    const { path, requestSerialize, responseDeserialize } = method(healthService, 'Watch')
    const stream: ClientReadableStream<object> = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { service },
    )
    const seen: string[] = []
    let ended: number | undefined
    stream.on('data', (answer: object) => seen.push(shown(answer)))
    stream.on('error', () => undefined)
    stream.on('status', ({ code }) => (ended = code))
    return { seen, ended: () => ended }
  }

  it.each(known)(
    'service "%s" is NOT_SERVING before the first snapshot, SERVING after it, NOT_SERVING in a drain',
    async (service) => {
      expect(await check(service)).toBe('NOT_SERVING')
      gatehouse.change(snapshot)
      expect(await check(service)).toBe('SERVING')
      gatehouse.server.setServing(false)
      expect(await check(service)).toBe('NOT_SERVING')
      gatehouse.server.setServing(true)
      expect(await check(service)).toBe('SERVING')
    },
  )

  it('an unknown service is NOT_FOUND', async () => {
    await expect(check('envoy.service.auth.v2.Authorization')).rejects.toMatchObject({ code: status.NOT_FOUND })
    await expect(check('constructor')).rejects.toMatchObject({ code: status.NOT_FOUND })
  })

  it.each(known)('a watch of "%s" is told every change once, and ends with the server', async (service) => {
    const { seen, ended } = watch(service)
    await expect.poll(() => seen).toEqual(['NOT_SERVING'])
    gatehouse.change(snapshot)
    await expect.poll(() => seen).toEqual(['NOT_SERVING', 'SERVING'])
    gatehouse.server.setServing(true)
    gatehouse.server.setServing(false)
    gatehouse.server.setServing(true)
    await expect.poll(() => seen).toEqual(['NOT_SERVING', 'SERVING', 'NOT_SERVING', 'SERVING'])
    await gatehouse.server.close({ graceMillis: 500, roundTripMillis: 20 })
    await expect.poll(() => seen).toEqual(['NOT_SERVING', 'SERVING', 'NOT_SERVING', 'SERVING', 'NOT_SERVING'])
    await expect.poll(ended).toBe(status.OK)
  })

  it('a watch of an unknown service is SERVICE_UNKNOWN, stays open, and does not hold up the end', async () => {
    const { seen, ended } = watch('nobody')
    await expect.poll(() => seen).toEqual(['SERVICE_UNKNOWN'])
    gatehouse.change(snapshot)
    await expect.poll(() => check('')).toBe('SERVING')
    expect([seen, ended()]).toEqual([['SERVICE_UNKNOWN'], undefined])
    const started = performance.now()
    await gatehouse.server.close({ graceMillis: 5_000, roundTripMillis: 20 })
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  it('List names every service', async () => {
    gatehouse.change(snapshot)
    const answer = (await ask('List', {})) as { statuses: Readonly<Record<string, object>> }
    expect(Object.fromEntries(Object.entries(answer.statuses).map(([name, one]) => [name, shown(one)]))).toEqual(
      Object.fromEntries(known.map((name) => [name, 'SERVING'])),
    )
  })

  it('REL-18 checks are still answered while health says NOT_SERVING', async () => {
    gatehouse.change(snapshot)
    gatehouse.server.setServing(false)
    const gateway = checker(gatehouse.target)
    expect(verdict(await gateway.check(attributes()))).toBe('allow')
    gateway.close()
  })
})

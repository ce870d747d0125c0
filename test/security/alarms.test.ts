import { hashSync } from '@node-rs/bcrypt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { counters } from '../../src/model/telemetry.ts'
import { scriptedServer } from '../support/authorization-server.ts'
import type { ScriptedServer } from '../support/authorization-server.ts'
import { gatehouse } from '../support/gatehouse.ts'
import type { TestGatehouse } from '../support/gatehouse.ts'
import { rawToken, testKey } from '../support/jwt-bench.ts'
import { until } from '../support/program.ts'
import { basic, send } from '../support/send.ts'
import { check, policy, secret } from './child.ts'

/* Whoever is woken at night has to see which fault it was: each moves its own metric. */

const key = testKey('k1')
const bearer = (text: string) => [['authorization', `Bearer ${text}`]] as const
const ada = (password: string) => [['authorization', basic('ada', password)]] as const

let server: ScriptedServer
let guard: TestGatehouse
beforeAll(async () => {
  server = await scriptedServer({ active: true, sub: 'ada', aud: 'cart', exp: 4_000_000_000 })
  guard = await gatehouse({
    files: {
      'client.yaml': secret('client', { secret: 'of-the-client' }),
      'users.yaml': secret('users', { '.htpasswd': `ada:${hashSync('right', 10)}` }),
      'opaque.yaml': policy(
        'opaque',
        `authentication: [{ introspection: { endpoint: "${server.url}/i", client: { id: a, secretRef: { name: client, key: secret } }, audiences: [cart], cache: { seconds: 0 } } }]`,
      ),
      'staff.yaml': policy('staff', 'authentication: [{ basic: { usersRef: { name: users } } }]'),
    },
  })
})
afterAll(async () => {
  await guard.close()
  await server.close()
})

const failures = Object.keys(counters)
  .filter((name) => !['introspection-ok', 'jwks-fetch-ok', 'password-hash', 'reload-ok', 'watch-list'].includes(name))
  .map((name) => `gatehouse_${name.replaceAll('-', '_')}_total`)
  .concat('gatehouse_config_problems')

async function levels(): Promise<ReadonlyMap<string, number>> {
  const { body } = await send({ port: guard.adminPort, path: '/metrics' })
  const pairs = body.split('\n').map((line) => line.split(' '))
  return new Map(pairs.flatMap(([name = '', value]) => (failures.includes(name) ? [[name, Number(value)]] : [])))
}

/** Names of the alarms that are higher than before. */
async function moved(fault: () => Promise<unknown>): Promise<readonly string[]> {
  const before = await levels()
  await fault()
  const after = await levels()
  return [...after.keys()].filter((name) => (after.get(name) ?? 0) > (before.get(name) ?? 0))
}
const reason = (): unknown => {
  const decision = guard.records.at(-1)?.decision
  return decision?.kind === 'deny' ? decision.reason : 'allowed'
}

describe('OBS-14 each fault moves one named metric', () => {
  it('none, where nothing is wrong', async () => {
    const fine = async (): Promise<void> => {
      expect(await check(guard.httpPort, 'opaque', bearer('token'))).toBe(200)
      expect(await check(guard.httpPort, 'staff', ada('right'))).toBe(200)
      expect(await check(guard.httpPort, 'staff')).toBe(403)
    }
    expect(await moved(fine)).toEqual([])
  })
  it('an introspection endpoint that fails', async () => {
    server.say((response) => response.writeHead(500).end())
    expect(await moved(() => check(guard.httpPort, 'opaque', bearer('one')))).toEqual([
      'gatehouse_introspection_failed_total',
    ])
    expect(reason()).toBe('introspection-unavailable')
  })
  it('an introspection endpoint that does not take our own credentials', async () => {
    server.say((response) => response.writeHead(401).end())
    expect(await moved(() => check(guard.httpPort, 'opaque', bearer('two')))).toEqual([
      'gatehouse_introspection_refused_total',
    ])
  })
  it('a circuit breaker that opens, beside the failures that opened it', async () => {
    server.say((response) => response.destroy())
    const names = await moved(async () => {
      for (let count = 0; count < 6; count += 1) await check(guard.httpPort, 'opaque', bearer(`three${count}`))
    })
    expect(names).toContain('gatehouse_introspection_breaker_opened_total')
    expect(names.filter((name) => !name.includes('introspection'))).toEqual([])
  })
  it('a key set that cannot be fetched', async () => {
    const block = `jwt: { issuer: "https://a.example", audiences: [cart], algorithms: [ES256], jwks: { uri: "${server.url}/keys" } }`
    server.say((response) => response.writeHead(503).end())
    const token = rawToken(
      { alg: key.alg, kid: 'k1' },
      { iss: 'https://a.example', aud: 'cart', sub: 'a', exp: 4e9 },
      key.key,
    )
    const names = await moved(async () => {
      await guard.write({ 'jwt.yaml': policy('jwt', `authentication: [{ ${block} }]`) })
      await until(
        () => (guard.state()?.snapshot.rules ?? []).some(({ key }) => key.route === 'jwt'),
        () => 'the policy is not in force',
      )
      await check(guard.httpPort, 'jwt', bearer(token))
    })
    expect(reason()).toBe('issuer-unavailable')
    expect(names).toEqual(['gatehouse_jwks_fetch_failed_total'])
  })
  it('a policy that cannot be used', async () => {
    const errors = (): number => guard.problems().filter(({ severity }) => severity === 'error').length
    const names = await moved(async () => {
      await guard.write({ 'bad.yaml': policy('bad', 'guest: { sbject: a }') })
      await until(
        () => errors() > 0,
        () => 'no problem was seen',
      )
    })
    expect(names).toEqual(['gatehouse_config_problems'])
  })
  it('a user who is locked out', async () => {
    const names = await moved(async () => {
      for (let count = 0; count < 6; count += 1) await check(guard.httpPort, 'staff', ada(`wrong${count}`))
    })
    expect(reason()).toBe('locked-out')
    expect(names).toEqual(['gatehouse_lockout_total'])
  })
})

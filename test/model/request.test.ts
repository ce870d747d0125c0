import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { classOf, denyReasons } from '../../src/model/decision.ts'
import { headerNameFault, spellings } from '../../src/model/header.ts'
import { authRequest, requestIdOf, traceparentOf } from '../../src/model/request.ts'
import type { RequestParts } from '../../src/model/request.ts'
import { routeKey } from '../../src/model/route.ts'
import { Secret } from '../../src/model/secret.ts'

const parts = (some: Partial<RequestParts> & { header?: Record<string, string[]> } = {}): RequestParts => ({
  via: 'check',
  claim: { kind: 'match' },
  method: 'GET',
  authority: 'shop.example',
  target: '/',
  headers: new Map(Object.entries(some.header ?? {})),
  ...some,
})

describe('what is wrong with a request itself', () => {
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`x-${index}`, ['v']]))
  const table: readonly (readonly [string, Parameters<typeof parts>[0], string | undefined])[] = [
    ['nothing', {}, undefined],
    ['CTR-21 CONNECT', { method: 'CONNECT' }, 'bad-method'],
    ['CTR-21 connect in lower case', { method: 'connect' }, 'bad-method'],
    ['CTR-21 TRACE is the policy’s business', { method: 'TRACE' }, undefined],
    ['NRM-22 a method of strange case stays as it is', { method: 'GeT' }, undefined],
    ['no method', { method: '' }, 'bad-method'],
    ['NRM-16 two hosts', { authority: 'a,b' }, 'bad-host'],
    ['no target', { target: '' }, 'bad-target'],
    ['OPTIONS *', { method: 'OPTIONS', target: '*' }, undefined],
    ['GET *', { target: '*' }, 'bad-target'],
    ['two Authorization lines', { header: { authorization: ['Bearer a', 'Bearer b'] } }, 'repeated-credential'],
    ['Authorization joined by a proxy', { header: { authorization: ['Bearer a,Bearer b'] } }, 'repeated-credential'],
    ['CR in a value', { header: { 'x-a': ['b\rc'] } }, 'bad-header'],
    ['NUL in a value', { header: { 'x-a': ['b\0c'] } }, 'bad-header'],
    ['DOS-13 300 fields', { header: many }, 'too-large'],
    ['one value of 40 kB', { header: { 'x-a': ['b'.repeat(40_000)] } }, 'too-large'],
    ['what the transport found comes first', { fault: 'partial-body', method: 'CONNECT' }, 'partial-body'],
  ]
  it.each(table)('%s', (_, given, fault) => {
    expect(authRequest(parts(given)).fault).toBe(fault)
  })
})

it('the fault of headers is the same in whichever order they come', () => {
  const header: readonly (readonly [string, readonly string[]])[] = [
    ['authorization', ['a,b']],
    ['x-control', ['\0']],
    ['x-long', ['x'.repeat(40_000)]],
  ]
  const faults = [header, header.toReversed()].map((all) => authRequest(parts({ headers: new Map(all) })).fault)
  expect(faults).toEqual(['too-large', 'too-large'])
})

it('E5 tells the names that a backend may take for others', () => {
  const header = { 'x-user': ['a'], x_user: ['a'], 'x.user': ['a'], 'x-1': ['a'], "x'user": ['a'] }
  expect(authRequest(parts({ header })).unusualNames).toEqual(['x_user', 'x.user', "x'user"])
})

it('OBS-04 takes a request id or a traceparent only if it is clean and alone', () => {
  const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const good = authRequest(parts({ header: { 'x-request-id': ['a-1'], traceparent: [trace] } }))
  expect([requestIdOf(good), traceparentOf(good)]).toEqual(['a-1', trace])
  const bad = authRequest(parts({ header: { 'x-request-id': ['a b'], traceparent: [trace, trace] } }))
  expect([requestIdOf(bad), traceparentOf(bad)]).toEqual([undefined, undefined])
})

describe('HDR-08 headers that no policy may touch', () => {
  it.each([
    ':path',
    'host',
    'Content-Length',
    'transfer-encoding',
    'connection',
    'te',
    'upgrade',
    'content_length',
    'a b',
    '',
    'x-envoy-original-path',
  ])('%s', (name) => {
    expect(headerNameFault(name)).toBeTypeOf('string')
  })
  it.each(['x-user', 'X_User', 'authorization', 'cookie', 'forwarded'])('%s is free', (name) => {
    expect(headerNameFault(name)).toBeUndefined()
  })
})

it('E5 knows every spelling of an owned header', () => {
  expect(spellings('X-Auth-User')).toEqual(['x-auth-user', 'x-auth_user', 'x_auth-user', 'x_auth_user', 'x.auth.user'])
  expect(spellings('user')).toEqual(['user'])
})

describe('keys', () => {
  it.each([
    ['shop', 'cart', 'pay', true],
    ['shop', 'cart', '_', true],
    ['shop', 'cart.v2', 'pay.now', true],
    ['Shop', 'cart', 'pay', false],
    ['shop', '..', 'pay', false],
    ['shop', 'cart', '', false],
    ['_', 'cart', 'pay', false],
    ['shop', 'cart', 'a/b', false],
    ['s'.repeat(64), 'cart', 'pay', false],
    ['__proto__', 'cart', 'pay', false],
  ])('%s/%s/%s', (namespace, route, rule, good) => {
    expect(routeKey(namespace, route, rule) !== undefined).toBe(good)
  })
})

it('E10 a secret prints as stars however it is printed', () => {
  const secret = new Secret('hunter2')
  expect([String(secret), JSON.stringify({ secret }), inspect(secret)]).toEqual(['***', '{"secret":"***"}', '***'])
  expect(secret.reveal()).toBe('hunter2')
})

it('every reason to refuse has a class and a meaning', () => {
  for (const reason of Object.keys(denyReasons))
    expect(classOf(reason as keyof typeof denyReasons)).toBeTypeOf('string')
})

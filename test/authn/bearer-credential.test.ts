import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { credentialReader, credentialSources } from '../../src/authn/bearer-credential.ts'
import type { CredentialSource } from '../../src/authn/bearer-credential.ts'
import { requestWith } from '../support/jwt-bench.ts'

const read = (sources: readonly CredentialSource[], ...request: Parameters<typeof requestWith>): string => {
  const found = credentialReader(sources).read(requestWith(...request))
  return found.kind === 'credential' ? `= ${found.text}` : found.kind === 'refused' ? found.reason : 'absent'
}
const cookie: readonly CredentialSource[] = [{ cookie: 'session' }]
const query: readonly CredentialSource[] = [{ query: 'key' }]
const header: readonly CredentialSource[] = [{ header: 'X-API-Key' }]

describe('places of a credential', () => {
  it.each<[string, readonly CredentialSource[], Parameters<typeof requestWith>, string]>([
    ['header', header, [{ 'x-api-key': ' abc ' }], '= abc'],
    ['header, empty', header, [{ 'x-api-key': '' }], 'malformed-credential'],
    ['header, two words', header, [{ 'x-api-key': 'a b' }], 'malformed-credential'],
    ['header twice', header, [{ 'x-api-key': ['a', 'a'] }], 'repeated-credential'],
    ['header, other', header, [{ 'x-api-keys': 'a' }], 'absent'],
    ['cookie', cookie, [{ cookie: 'a=1; session=abc; b=2' }], '= abc'],
    ['cookie with =', cookie, [{ cookie: 'session=abc==' }], '= abc=='],
    ['cookie in crumbs', cookie, [{ cookie: ['a=1', 'session=abc'] }], '= abc'],
    ['cookie in two crumbs', cookie, [{ cookie: ['session=x', 'session=abc'] }], 'repeated-credential'],
    ['cookie twice, joined by Envoy', cookie, [{ cookie: 'session=abc; x=1,session=y' }], 'repeated-credential'],
    ['cookie behind a comma', cookie, [{ cookie: 'x=1,session=y' }], '= y'],
    ['cookies with a comma of another', cookie, [{ cookie: 'x=1,2; session=abc' }], '= abc'],
    ['cookie, empty', cookie, [{ cookie: 'session=' }], 'malformed-credential'],
    ['cookie, case', cookie, [{ cookie: 'Session=abc' }], 'absent'],
    ['cookie, longer name', cookie, [{ cookie: 'xsession=abc; session2=x' }], 'absent'],
    ['cookie without =', cookie, [{ cookie: 'session' }], 'absent'],
    ['query', query, [{}, '/x?a=1&key=abc'], '= abc'],
    ['query, escaped', query, [{}, '/x?k%65y=a%62c'], '= abc'],
    ['query, twice', query, [{}, '/x?key=a&key=b'], 'repeated-credential'],
    ['query, space', query, [{}, '/x?key=a+b'], 'malformed-credential'],
    ['query, bad escape', query, [{}, '/x?key=%zz'], 'malformed-credential'],
    ['query, too many pairs', query, [{}, `/x?${'a=1&'.repeat(300)}`], 'malformed-credential'],
    ['query, none', query, [{}, '/x'], 'absent'],
  ])('%s', (_name, sources, request, expected) => {
    expect(read(sources, ...request)).toBe(expected)
  })

  it('tells that something was presented, right or wrong, so that nobody is a guest by mistake', () => {
    const { presented } = credentialReader([{ header: 'Authorization', scheme: 'Bearer' }, ...cookie, ...query])
    expect(presented(requestWith({}))).toBe(false)
    expect(presented(requestWith({ authorization: 'Basic x' }))).toBe(true)
    expect(presented(requestWith({ authorization: '' }))).toBe(true)
    expect(presented(requestWith({ cookie: 'session=' }))).toBe(true)
    expect(presented(requestWith({ cookie: 'other=1' }))).toBe(false)
    expect(presented(requestWith({}, '/?key='))).toBe(true)
    expect(presented(requestWith({}, '/?a=%zz'))).toBe(true)
  })

  it.each<[string, unknown]>([
    ['none', []],
    ['two places in one', [{ header: 'a', cookie: 'b' }]],
    ['a scheme without header', [{ cookie: 'b', scheme: 'Bearer' }]],
    ['a framing header', [{ header: 'Transfer-Encoding' }]],
    ['a cookie that is none', [{ cookie: 'a b' }]],
    ['an unknown key', [{ headers: 'a' }]],
  ])('a list with %s is refused', (_name, list) => {
    expect(credentialSources.safeParse(list).success).toBe(false)
  })

  it('takes a thousand cookies of blanks in no time that counts', () => {
    // By a regular expression that looks for blanks at the end each of them takes half a second.
    const blanks = `session=x; a${' '.repeat(32_000)}b=1`
    for (let n = 0; n < 1000; n++) expect(read(cookie, { cookie: blanks })).toBe('= x')
  })

  it('never throws, and gives visible ASCII or nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (one, two) => {
        const all = [{ header: 'Authorization', scheme: 'Bearer' }, ...cookie, ...header]
        const headers = { authorization: `Bearer ${one}`, cookie: `session=${two}` }
        expect(read(all, headers)).toMatch(/^(= [\x21-\x7e]+|absent|malformed-credential|repeated-credential)$/)
      }),
      { numRuns: 1000 },
    )
  })
})

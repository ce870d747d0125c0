import { describe, expect, it } from 'vitest'
import { parseAuthority } from '../../src/model/authority.ts'
import { hostMatches, intersectHostname } from '../../src/policy/hostname.ts'

describe('hosts', () => {
  const good: readonly (readonly [string, string, string, number | undefined])[] = [
    ['NRM-14 case', 'API.Example.COM', 'api.example.com', undefined],
    ['NRM-15 port', 'shop.example.com:8443', 'shop.example.com', 8443],
    ['NRM-15 trailing dot', 'shop.example.com.', 'shop.example.com', undefined],
    ['NRM-15 IPv6 literal', '[2001:DB8::1]:80', '[2001:db8::1]', 80],
    ['NRM-15 punycode', 'xn--bcher-kva.example', 'xn--bcher-kva.example', undefined],
    ['NRM-15 underscore', 'my_host', 'my_host', undefined],
    ['IPv4', '127.0.0.1', '127.0.0.1', undefined],
  ]
  it.each(good)('%s', (_, given, host, port) => {
    expect(parseAuthority(given)).toEqual({ host, port, rooted: given.endsWith('.') })
  })
  const bad: readonly (readonly [string, string])[] = [
    ['NRM-15 user info', 'user@shop'],
    ['NRM-15 Unicode', 'b\u00fccher.example'],
    ['NRM-15 empty', ''],
    ['NRM-15 300 characters', `${'a'.repeat(60)}.`.repeat(5)],
    ['NRM-15 CR', 'a\rb'],
    ['NRM-16 two hosts joined by Envoy', 'a.example,b.example'],
    ['two ports', 'a:1:2'],
    ['port too high', 'a:70000'],
    ['only a dot', '.'],
    ['empty label', 'a..b'],
  ]
  it.each(bad)('%s', (_, given) => {
    expect(parseAuthority(given)).toBeUndefined()
  })
})

describe('NRM-17 wildcards', () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'evil-example.com', false],
    ['*.example.com', 'example.com.evil', false],
    ['v1.api', 'v1xapi', false],
    ['', 'anything', true],
  ]
  it.each(table)('%s and %s: %s', (pattern, host, expected) => {
    expect(hostMatches(pattern, host)).toBe(expected)
  })
  const meets: readonly (readonly [string, string, string | undefined])[] = [
    ['', 'a.example', 'a.example'],
    ['*.example', 'a.example', 'a.example'],
    ['a.example', '*.example', 'a.example'],
    ['*.example', '*.b.example', '*.b.example'],
    ['a.example', 'b.example', undefined],
    ['*.example', 'example', undefined],
    ['*.a.example', '*.b.example', undefined],
  ]
  it.each(meets)('listener %s and route %s meet in %s', (one, other, common) => {
    expect(intersectHostname(one, other)).toBe(common)
  })
})

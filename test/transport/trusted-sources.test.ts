import { describe, expect, it } from 'vitest'
import { plainAddress, trustedSources } from '../../src/transport/trusted-sources.ts'

describe('trusted sources', () => {
  const trusts = trustedSources(['127.0.0.0/8', '::1/128', '10.1.2.3', '2001:db8:1::/48'])
  it.each([
    ['an address of a block', '127.9.9.9', true],
    ['an address by itself', '10.1.2.3', true],
    ['its neighbour', '10.1.2.4', false],
    ['an IPv4 address as a dual-stack socket gives it', '::ffff:127.0.0.1', true],
    ['another one', '::ffff:10.1.2.4', false],
    ['IPv6 loopback', '::1', true],
    ['IPv6 in a block', '2001:db8:1::7', true],
    ['IPv6 outside', '2001:db8:2::7', false],
    ['IPv6 with a zone', '2001:db8:1::7%eth0', true],
    ['a word', 'localhost', false],
    ['nothing', undefined, false],
    ['an empty text', '', false],
  ])('%s: %s is %s', (_, address, expected) => {
    expect(trusts(address)).toBe(expected)
  })
  it('nobody, where none is named', () => {
    expect(trustedSources([])('127.0.0.1')).toBe(false)
  })
  it.each([
    ['a name', 'proxy.example'],
    ['too many bits', '10.0.0.0/33'],
    ['too many bits for IPv6', '::/129'],
    ['no bits', '10.0.0.0/'],
    ['two slashes', '10.0.0.0/8/8'],
    ['negative bits', '10.0.0.0/-1'],
    ['four hundred', '400.0.0.0/8'],
    ['nothing', ''],
  ])('refuses %s with one sentence: %s', (_, block) => {
    expect(() => trustedSources([block])).toThrow(`--trusted-proxies: "${block}" is no address`)
  })
  it.each(['0.0.0.0/0', '::/0'])('refuses everybody: %s', (block) => {
    expect(() => trustedSources([block])).toThrow('is everybody')
  })
})

it('strips what a socket puts around an address', () => {
  expect(['::ffff:192.0.2.1', 'fe80::1%lo', '192.0.2.1', '::1'].map(plainAddress)).toEqual([
    '192.0.2.1',
    'fe80::1',
    '192.0.2.1',
    '::1',
  ])
})

import { BlockList, isIP } from 'node:net'
import { boundedMemo } from '../model/bounded-memo.ts'

/** Says whether the peer at an address may speak for others. */
export type TrustedSources = (address: string | undefined) => boolean

/** Compiles `--trusted-proxies`: addresses and CIDR blocks. Throws one sentence for what is neither, and for a block of everybody. */
export function trustedSources(blocks: readonly string[]): TrustedSources {
  const list = new BlockList()
  for (const block of blocks) add(list, block)
  // The same few gateways ask every time.
  const trusted = boundedMemo(1024, (address) => {
    const plain = plainAddress(address)
    const family = isIP(plain)
    return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
  })
  return (address) => address !== undefined && trusted(address)
}

/** An address without what a dual-stack socket puts around it: `::ffff:10.0.0.1` is 10.0.0.1, and a zone is no part of it. */
export const plainAddress = (address: string): string =>
  address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '').replace(/%.*$/, '')

function add(list: BlockList, block: string): void {
  const [address = '', bits, ...more] = block.split('/')
  const family = isIP(address)
  const widest = family === 4 ? 32 : 128
  const prefix = bits === undefined ? widest : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
  if (family === 0 || more.length > 0 || !(prefix <= widest)) {
    throw new Error(`--trusted-proxies: "${block}" is no address and no CIDR block such as 10.0.0.0/8`)
  }
  if (prefix === 0) throw new Error(`--trusted-proxies: "${block}" is everybody, who could then write any path`)
  list.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6')
}

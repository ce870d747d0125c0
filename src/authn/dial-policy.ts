import { BlockList, isIP } from 'node:net'

/** What an operator may loosen or tighten about addresses; everything is strict where nothing is said. */
export interface DialOptions {
  /** Plain http to any host, not to this machine alone. */
  readonly allowHttp?: boolean
  /** Also refuses this machine and private networks: for clusters whose policies come from many hands. */
  readonly blockPrivate?: boolean
}

/** Judges addresses twice: as a URL when it is configured, and as the IP that is about to be dialled. */
export interface DialPolicy {
  /** Why this URL may not be called, or undefined. */
  readonly url: (url: string) => string | undefined
  /** Why this IP address may not be dialled for this scheme, or undefined. */
  readonly address: (address: string, scheme: string) => string | undefined
}

type Subnet = readonly [net: string, bits: number]

// Cloud metadata services live at link-local addresses and at a few fixed ones of their own: whoever can make us call
// them can read the machine's credentials (CVE-2026-41413).
const never = blockList(
  [
    ['0.0.0.0', 8],
    ['169.254.0.0', 16],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
    ['100.100.100.200', 32],
    ['168.63.129.16', 32],
  ],
  [
    ['::', 128],
    ['fe80::', 10],
    ['ff00::', 8],
    ['2002::', 16],
    ['fd00:ec2::254', 128],
    ['fd20:ce::254', 128],
  ],
)

const loopback = blockList([['127.0.0.0', 8]], [['::1', 128]])

const privateNet = blockList(
  [
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['100.64.0.0', 10],
    ['192.0.0.0', 24],
    ['198.18.0.0', 15],
  ],
  [
    ['fc00::', 7],
    ['fec0::', 10],
  ],
)

const metadataNames = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
])

/** IPv4 subnets also count in their NAT64 form (RFC 6052 §2.1); BlockList itself knows the mapped form `::ffff:`. */
function blockList(four: readonly Subnet[], six: readonly Subnet[]): BlockList {
  const list = new BlockList()
  for (const [net, bits] of four) {
    list.addSubnet(net, bits, 'ipv4')
    list.addSubnet(`64:ff9b::${net}`, 96 + bits, 'ipv6')
  }
  for (const [net, bits] of six) list.addSubnet(net, bits, 'ipv6')
  return list
}

const within = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** The rules of one process. */
export function createDialPolicy({ allowHttp = false, blockPrivate = false }: DialOptions = {}): DialPolicy {
  const address: DialPolicy['address'] = (text, scheme) => {
    const bare = text.replace(/%.*$/, '') // a zone id names an interface, not another address
    if (isIP(bare) === 0) return 'its address cannot be read'
    if (within(never, bare)) return 'its address is link-local, multicast or of a metadata service'
    const local = within(loopback, bare)
    if (blockPrivate && (local || within(privateNet, bare))) return 'its address is private'
    return scheme === 'http:' && !allowHttp && !local ? 'http is allowed to this machine only; use https' : undefined
  }

  const host = (name: string, scheme: string): string | undefined => {
    const bare = name.replace(/^\[|\]$/g, '')
    if (isIP(bare) !== 0) return address(bare, scheme)
    if (metadataNames.has(bare)) return 'it names a metadata service'
    if (bare === 'localhost') return blockPrivate ? 'it names this machine' : undefined
    return scheme === 'http:' && !allowHttp ? 'http is allowed to this machine only; use https' : undefined
  }

  return {
    address,
    url: (text) => {
      if (text.length > 2048) return 'it is longer than 2048 characters'
      // The URL parser drops tabs and newlines and turns backslashes round: what is read must be what is written.
      if (/[\x00-\x20\x7f\\]/.test(text) || !URL.canParse(text)) return 'it is not a URL'
      const url = new URL(text)
      if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'it is not an https URL'
      if (url.username !== '' || url.password !== '') return 'it holds user information'
      if (text.includes('#')) return 'it has a fragment'
      return host(url.hostname.replace(/\.$/, ''), url.protocol)
    },
  }
}

import { createHash } from 'node:crypto'
import { memo } from '../model/memo.ts'
import { failed, fault, ok, under, weakness } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { readKeySet } from './jwk-set.ts'
import type { KeySet } from './jwk-set.ts'
import { localKeySource } from './jwks-store.ts'
import type { JwksLocation, KeySource } from './jwks-store.ts'
import type { JwtBlock } from './jwt-block.ts'
import type { Compiled, DataRef, MethodContext } from './method.ts'

/** The keys that a block names, examined as far as that can be done without the network. */
export function keySourceOf(block: JwtBlock, context: MethodContext): Result<Compiled<KeySource>> {
  const { ref, uri } = block.jwks
  if (ref !== undefined) return localSource(block, ref, context)
  const { http, jwks } = context.services
  const path = uri === undefined ? ['issuer'] : ['jwks', 'uri']
  const refusal = http.refuse(uri ?? block.issuer)
  const findings: Finding[] = []
  if (refusal !== undefined) {
    const say = `the address cannot be asked for keys: ${refusal}`
    findings.push(fault('insecure-url', path, say, 'give an https address, or keep the keys in `jwks.ref`'))
  } else if (uri === undefined && new URL(block.issuer).search !== '') {
    findings.push(fault('bad-value', path, 'an issuer with a query has no metadata (RFC 8414 §2)', 'give `jwks.uri`'))
  }
  const shared = block.algorithms.filter((one) => one.startsWith('HS'))
  if (shared.length > 0) {
    const say = `${shared.join(', ')} would make secrets of public keys`
    findings.push(fault('bad-value', ['algorithms'], say, 'keep shared secrets in `jwks.ref`, or take these out'))
  }
  if (findings.length > 0) return failed(findings)
  const location: JwksLocation = uri === undefined ? { kind: 'discovery', issuer: block.issuer } : { kind: 'uri', uri }
  return ok({ value: jwks.acquire(location), findings })
}

/** Many policies share a set: its bytes are one object for as long as they do not change. */
const localKeySet = memo((bytes: Uint8Array) => {
  const set = readKeySet(bytes, 'local')
  return set && { ...set, id: createHash('sha256').update(bytes).digest('base64url') }
})

function localSource(block: JwtBlock, ref: DataRef, context: MethodContext): Result<Compiled<KeySource>> {
  const read = context.read(ref, 'jwks.json')
  if (!read.ok) return failed(read.findings.map((finding) => under(['jwks', 'ref'], finding)))
  const path = ['jwks', 'ref', 'key']
  const set = localKeySet(read.value)
  if (set === undefined) {
    return failed([fault('bad-reference', path, 'the entry is not a JWK Set (RFC 7517 §5)', 'write {"keys": [...]}')])
  }
  for (const { kind } of set.refused) if (kind === 'exposed') context.services.telemetry.count('jwks-private-key')
  const usable = set.keys.filter((key) => key.algorithms.some((one) => block.algorithms.includes(one)))
  const findings = set.refused.map((one) => refusedFinding(one, path))
  if (usable.length === 0) {
    const say = 'the set has no key that is fit for the algorithms of the policy'
    return failed([...findings, fault('bad-key', path, say)])
  }
  return ok({ value: localKeySource(usable, set.id), findings })
}

const refusedFinding = ({ kind, index, say }: KeySet['refused'][number], path: Finding['path']): Finding =>
  weakness(kind === 'weak' ? 'weak-key' : 'bad-key', path, `key ${index + 1} of the set ${say}; it is not used`)

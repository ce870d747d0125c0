/**
 * Weaknesses of public keys that the cryptographic library takes without a word (SECURITY.md §2). Each function says in
 * one clause what is wrong, or gives undefined. They run when a key set is loaded, never in a request.
 */

const bigint = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`)

const smallPrimes: readonly number[] = primesBelow(168)

/** RFC 8725 §3.2 (2048 bits at least), degenerate exponents, shared small factors and the ROCA generator (CVE-2017-15361). */
export function rsaWeakness(modulus: Uint8Array, exponent: Uint8Array): string | undefined {
  const n = bigint(modulus)
  const e = bigint(exponent)
  const bits = n.toString(2).length
  if (bits < 2048) return `has an RSA modulus of ${bits} bits; 2048 is the least`
  // Verification time grows with the square of the modulus: a published key must not become a denial of service.
  if (bits > 8192) return `has an RSA modulus of ${bits} bits; 8192 is the most`
  if (e < 3n || e % 2n === 0n) return 'has a public exponent that is 1 or even'
  if (exponent.length > 8) return 'has a public exponent of more than 64 bits'
  if (n % 2n === 0n || smallPrimes.some((prime) => n % BigInt(prime) === 0n)) return 'has a modulus with a small factor'
  return isRoca(n) ? 'was made by a generator with the ROCA weakness (CVE-2017-15361)' : undefined
}

/**
 * Primes of that generator are k·M + (65537^a mod M), M the product of the first primes: so the modulus lies in the
 * group of powers of 65537 modulo each of them. By chance that happens once in more than 2^27 keys.
 */
const isRoca = (n: bigint): boolean => smallPrimes.every((prime) => powersOf65537(prime).has(Number(n % BigInt(prime))))

function powersOf65537(prime: number): ReadonlySet<number> {
  const powers = new Set<number>()
  for (let power = 1; !powers.has(power); power = (power * (65_537 % prime)) % prime) powers.add(power)
  return powers
}

function primesBelow(limit: number): readonly number[] {
  const numbers = Array.from({ length: limit - 3 }, (_, index) => index + 3)
  return numbers.filter((n) => numbers.every((d) => d >= n || n % d !== 0) && n % 2 !== 0)
}

const p25519 = 2n ** 255n - 19n

// y-coordinates of the eight points whose order divides 8 (RFC 8032 curve), sign bit aside.
const lowOrder: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  p25519 - 1n,
  littleEndian('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
  littleEndian('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
])

/** A public key under which anybody can make signatures, or that has a second encoding. */
export function ed25519Weakness(key: Uint8Array): string | undefined {
  const y = littleEndian(Buffer.from(key).toString('hex')) & (2n ** 255n - 1n)
  if (y >= p25519) return 'is not in canonical form (RFC 8032 §5.1.3)'
  return lowOrder.has(y) ? 'is a point of small order' : undefined
}

function littleEndian(hex: string): bigint {
  return bigint(new Uint8Array(Buffer.from(hex, 'hex')).toReversed())
}

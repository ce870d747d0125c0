import { jwtVerify } from 'jose'
import { jwtBench, bearer, rawToken, testKey } from '../support/jwt-bench.ts'

/* One micro-benchmark a process, so that none is compiled for the types of another: prints microseconds, the best batch of many. */

const tokens = 1000
const [, , name, time = '800'] = process.argv
const millis = Number(time)
const never = new AbortController().signal

const key = testKey('micro', 'RS256')
const claims = {
  iss: 'https://idp.example.com',
  aud: 'bench',
  exp: Math.floor(Date.now() / 1000) + 86_400,
  scope: 'cart.read',
}
const head = { alg: 'RS256', kid: 'micro', typ: 'at+jwt' }

/** The work of a batch is made before its time is taken: requests and strings are new ones, as they are for a server. */
interface Batch {
  readonly size: number
  readonly run: () => Promise<void> | void
}

async function best(batch: () => Batch): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (const end = performance.now() + millis; performance.now() < end;) {
    const { size, run } = batch()
    const started = performance.now()
    await run()
    least = Math.min(least, ((performance.now() - started) * 1000) / size)
  }
  return least
}

/** The `jwt` method on tokens that it has seen before. */
async function identityHit(): Promise<number> {
  const bench = jwtBench()
  const block = {
    issuer: claims.iss,
    audiences: ['bench'],
    algorithms: ['RS256'],
    jwks: { ref: { name: 'keys', key: 'jwks.json' } },
  }
  const authenticator = bench.authenticator(block, { 'jwks.json': JSON.stringify({ keys: [key.jwk] }) })
  const all = Array.from({ length: tokens }, (_, index) =>
    Buffer.from(rawToken(head, { ...claims, sub: `user-${index}` }, key.key)),
  )
  const requests = () => all.map((bytes) => bearer(bytes.toString('latin1')))
  for (const request of requests()) {
    const { kind } = await authenticator.authenticate(request, never)
    if (kind !== 'authenticated') throw new Error(`a good token is ${kind}`)
  }
  const result = await best(() => {
    const fresh = requests()
    return {
      size: fresh.length,
      run: () => {
        for (const request of fresh) {
          const outcome = authenticator.authenticate(request, never)
          if (outcome instanceof Promise || outcome.kind !== 'authenticated')
            throw new Error('a token seen before is not known')
        }
      },
    }
  })
  await bench.close()
  return result
}

/** The library's verification of one token, signature and claims. */
async function verification(): Promise<number> {
  const token = rawToken(head, { ...claims, sub: 'user-0' }, key.key)
  const publicKey = await crypto.subtle.importKey(
    'jwk',
    key.jwk,
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    false,
    ['verify'],
  )
  const rules = { issuer: claims.iss, audience: 'bench', algorithms: ['RS256'] }
  const size = 20
  return best(() => ({
    size,
    run: async () => {
      for (let turn = 0; turn < size; turn += 1) await jwtVerify(token, publicKey, rules)
    },
  }))
}

const subject = name === 'identity-hit' ? identityHit : verification
process.stdout.write(`${await subject()}\n`)

import { constants } from 'node:http2'
import type { DenyReason } from '../../model/decision.ts'
import type { Head, Incoming } from './ask.ts'
import { httpLimits } from './limits.ts'

/** Waits for the end of a body whose head does not tell its length; the reason to refuse where there is no end to it, or none in time. */
export type UntoldBody = (millis: number) => Promise<DenyReason | undefined>

/** True where a body follows. */
export function hasBody(incoming: Incoming, { headers }: Head): boolean {
  if ('stream' in incoming) return !incoming.stream.endAfterHeaders
  return headers.has('transfer-encoding') || (headers.get('content-length')?.[0] ?? '0') !== '0'
}

/** How to wait for the body of a request that has one of a length that is not told (RFC 9112 §6.3, RFC 9113 §8.1.1). */
export function untoldBody(incoming: Incoming, head: Head): UntoldBody | undefined {
  if (!hasBody(incoming, head) || head.headers.has('content-length')) return undefined
  // Whoever waits for a 100 that never comes sends nothing before the answer.
  return head.headers.has('expect') ? undefined : (millis) => measured(incoming, millis)
}

function measured(incoming: Incoming, millis: number): Promise<DenyReason | undefined> {
  return new Promise((done) => {
    const timer = setTimeout(() => done('timeout'), Math.max(0, millis))
    const end = (reason: DenyReason | undefined) => (): void => {
      clearTimeout(timer)
      done(reason)
    }
    whenTooLong(incoming, end('too-large'))
    incoming.once('end', end(undefined))
    incoming.once('error', ({ code }: NodeJS.ErrnoException) => {
      end(code?.startsWith('HPE_') === true ? 'malformed-request' : 'cancelled')()
    })
    incoming.once('close', end('cancelled'))
  })
}

/** Reads a body to its end without keeping any of it, so that the connection is fit for the next request; cuts off an endless one. */
export function discardBody(incoming: Incoming, answered: Promise<unknown>): void {
  whenTooLong(incoming, () => {
    incoming.pause()
    // Not before the answer is out: silence would be no explicit one.
    void answered.then(() => setImmediate(cutOff, incoming))
  })
  incoming.on('error', () => undefined) // the client went away in the middle of it
}

/** Reads on, keeping nothing; calls back once there is more than is taken. */
function whenTooLong(incoming: Incoming, then: () => void): void {
  let left = httpLimits.bodyBytes
  incoming.on('data', ({ length }: Buffer) => {
    const before = left
    left -= length
    if (left < 0 && before >= 0) then()
  })
}

function cutOff(incoming: Incoming): void {
  if ('stream' in incoming) incoming.stream.close(constants.NGHTTP2_NO_ERROR)
  else incoming.socket.destroySoon()
}

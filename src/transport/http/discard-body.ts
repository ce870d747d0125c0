import { constants } from 'node:http2'
import type { Incoming } from './ask.ts'

/** Reads a body to its end without keeping any of it, so that the connection is fit for the next request; cuts off an endless one. */
export function discardBody(incoming: Incoming, answered: Promise<unknown>, most: number): void {
  let bytes = 0
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= most) return
    incoming.pause()
    // Not before the answer is out: silence would be no explicit one.
    void answered.then(() => setImmediate(cutOff, incoming))
  })
  incoming.on('error', () => undefined) // the client went away in the middle of it
}

function cutOff(incoming: Incoming): void {
  if ('stream' in incoming) incoming.stream.close(constants.NGHTTP2_NO_ERROR)
  else incoming.socket.destroySoon()
}

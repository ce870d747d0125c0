import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { constantFrame } from './constant-reply.ts'

/* The floor of gRPC on Node.js: `node:http2` reads each body to its end, decodes nothing and sends one constant reply. */

const server = createServer()
server.on('stream', (stream) => {
  stream.on('data', () => undefined)
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(constantFrame)
  })
  stream.on('error', () => undefined)
})
server.listen(0, '127.0.0.1', () => process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`))
process.on('SIGINT', () => process.exit(0))

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/* The floor of HTTP/1.1 on Node.js: `node:http` with one constant reply. */

const headers = {
  'x-user': 'constant',
  'x-client': 'web',
  'x-tenant': 'north',
  'x-edge': 'gatehouse',
  'content-length': 0,
}
const server = createServer((_, response) => response.writeHead(200, headers).end())
server.listen(0, '127.0.0.1', () => process.stdout.write(`listening ${(server.address() as AddressInfo).port}\n`))
process.on('SIGINT', () => process.exit(0))

import { Server, ServerCredentials } from '@grpc/grpc-js'
import { checkMethod } from './check-service.ts'
import { constantReply } from './constant-reply.ts'

/* What the libraries give as they are: grpc-js and proto-loader, no option set, with a constant reply. */

const { ok_response: allowed } = constantReply
const reply = {
  status: constantReply.status,
  okResponse: {
    headers: allowed.headers.map(({ header, append_action: appendAction }) => ({ header, appendAction })),
    headersToRemove: allowed.headers_to_remove,
  },
}

const server = new Server()
server.addService(
  { Check: checkMethod({}) },
  { Check: (_: unknown, answer: (error: null, value: object) => void) => answer(null, reply) },
)
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (cause, port) => {
  if (cause !== null) throw cause
  process.stdout.write(`listening ${port}\n`)
})
process.on('SIGINT', () => process.exit(0))

import { checkMethod } from './check-service.ts'

/** What references answer: an allow with four headers. */
export const constantReply = {
  status: { code: 0 },
  ok_response: {
    headers: [
      ['x-user', 'constant'],
      ['x-client', 'web'],
      ['x-tenant', 'north'],
      ['x-edge', 'gatehouse'],
    ].map(([key, value]) => ({ header: { key, value }, append_action: 2 })),
    headers_to_remove: ['authorization'],
  },
}

const bytes = checkMethod().responseSerialize(constantReply)
const prefix = Buffer.alloc(5)
prefix.writeUInt32BE(bytes.length, 1)

/** The same as a gRPC message with its prefix. */
export const constantFrame: Buffer = Buffer.concat([prefix, bytes])

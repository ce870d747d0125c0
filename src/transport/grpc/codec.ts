import type { Decision } from '../../model/decision.ts'
import type { AuthRequest } from '../../model/request.ts'
import type { Sender } from './check-claim.ts'
import { readCheck } from './check-request.ts'
import { writeCheck } from './check-response.ts'

/** Turns the bytes of a check into a request and a decision into bytes. Neither throws. */
export interface Codec {
  readonly read: (bytes: Buffer, sender: Sender) => AuthRequest
  readonly write: (decision: Decision) => Buffer
  /** True where usual calls are served past grpc-js. */
  readonly direct: boolean
}

/** Our own, or `@grpc/proto-loader` for comparison: both give the same requests and answers. */
export type CodecName = 'lean' | 'reference'

/** The codec of that name; what the reference needs is loaded only here. */
export async function codecOf(name: CodecName): Promise<Codec> {
  switch (name) {
    case 'lean':
      return { read: readCheck, write: writeCheck, direct: true }
    case 'reference':
      return (await import('./reference-codec.ts')).referenceCodec
  }
}

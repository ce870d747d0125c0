import type { CodecName } from '../../src/transport/grpc/codec.ts'

/** The codec that every Gatehouse of this run reads checks with: the tests that reach it over gRPC run with either (test/run.ts). */
export const codec: CodecName = process.env['CODEC'] === 'reference' ? 'reference' : 'lean'

import type { Socket } from 'node:net'
import type { Engine } from '../../engine/engine.ts'
import type { DenyReason } from '../../model/decision.ts'
import { authRequest } from '../../model/request.ts'
import { plainAddress } from '../trusted-sources.ts'

/** Puts a request on record that the parser refused; its answer is fixed and does not wait for this. */
export type Malformed = (reason: DenyReason, socket: Socket) => void

/**
 * A request that cannot be parsed is refused like any other, so the log and the metrics tell of it. Nothing of it is kept but the
 * peer, who is the one to be mended: it names no rule, and no word of it can be believed.
 */
export function malformedRecords(engine: Engine, kind: 'keyed' | 'matching'): Malformed {
  const parts = {
    via: kind === 'keyed' ? 'check' : 'matching',
    claim: { kind: 'bad' },
    method: '',
    authority: '',
    target: '',
    headers: new Map(),
  } as const
  return (fault, { remoteAddress }) => {
    const source = remoteAddress === undefined ? undefined : plainAddress(remoteAddress)
    void engine.answer(authRequest({ ...parts, source, fault }), { millis: 1 })
  }
}

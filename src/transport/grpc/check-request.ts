import type { AuthRequest } from '../../model/request.ts'
import type { Sender } from './check-claim.ts'
import { slot } from './check-fields.ts'
import { outline } from './check-outline.ts'
import type { CheckOutline } from './check-outline.ts'
import { checkedRequest, unreadable } from './checked-request.ts'
import { claimOf } from './lean-claim.ts'
import { headersOf } from './lean-headers.ts'

/** Reads the bytes of a check. Whatever they are, there is a request to judge: one that cannot be read has a fault. */
export function readCheck(bytes: Buffer, sender: Sender): AuthRequest {
  try {
    return asked(outline(bytes), sender)
  } catch {
    return unreadable
  }
}

function asked(check: CheckOutline, sender: Sender): AuthRequest {
  if ((check.spans[slot.http] ?? -1) < 0) return unreadable
  const { headers, facts } = headersOf(check)
  return checkedRequest({
    claim: claimOf(check, sender),
    method: textAt(check, slot.method),
    path: textAt(check, slot.path),
    host: textAt(check, slot.host),
    scheme: textAt(check, slot.scheme),
    source: textAt(check, slot.source),
    caller: sender.caller,
    headers,
    facts,
  })
}

/** Text of its own, not a part of the message's: who keeps it keeps no more. */
function textAt({ bytes, spans }: CheckOutline, at: number): string | undefined {
  const begin = spans[at] ?? -1
  return begin < 0 ? undefined : bytes.toString('utf8', begin, spans[at + 1])
}

import { boundedMemo } from '../../model/bounded-memo.ts'
import type { Claim } from '../../model/request.ts'
import { agreedClaim, extensionsClaim, metadataClaim } from './check-claim.ts'
import type { IdentityTrust, Struct, Value } from './check-claim.ts'
import { slot } from './check-fields.ts'
import type { CheckOutline } from './check-outline.ts'
import { mapOf, part, parts, text } from './wire-parts.ts'

/** The rule that a check claims; undefined where its two sources name different rules. */
export function claimOf(check: CheckOutline, { envoyGatewayMetadata }: IdentityTrust): Claim | undefined {
  const extensions = said(check, slot.extensions, extensionsOnce)
  return envoyGatewayMetadata ? agreedClaim(extensions, said(check, slot.metadata, metadataOnce)) : extensions
}

function said({ bytes, spans }: CheckOutline, at: number, read: (written: string) => Claim): Claim {
  const begin = spans[at] ?? -1
  return begin < 0 ? none : read(bytes.toString('latin1', begin, spans[at + 1]))
}

const none: Claim = { kind: 'match' }

/** What a route says of itself is the same bytes in each of its checks: read once, and longer ones each time. */
function once(longest: number, read: (bytes: Buffer) => Claim): (written: string) => Claim {
  const made = (written: string): Claim => read(Buffer.from(written, 'latin1'))
  const known = boundedMemo(16_384, made)
  return (written) => (written.length <= longest ? known(written) : made(written))
}

const extensionsOnce = once(512, (attributes) => extensionsClaim(mapOf(attributes, 10, text)))
const metadataOnce = once(1_024, (metadata) => metadataClaim(mapOf(metadata, 1, structOf)))

// No deeper than the check itself may be nested.
const structOf = (bytes: Buffer): Struct => ({ fields: mapOf(bytes, 1, valueOf) })

function valueOf(bytes: Buffer): Value {
  const [string, struct, list] = [part(bytes, 3), part(bytes, 5), part(bytes, 6)]
  return {
    ...(string && { stringValue: text(string) }),
    ...(struct && { structValue: structOf(struct) }),
    ...(list && { listValue: { values: parts(list, 1).map(valueOf) } }),
  }
}

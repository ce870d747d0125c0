import type { HeaderFacts } from '../../model/header-facts.ts'
import type { HeaderMap } from '../../model/header.ts'
import { checkHeaders } from './check-headers.ts'
import type { WireHeader } from './check-headers.ts'
import type { CheckOutline } from './check-outline.ts'
import type { HeaderRange } from './header-range.ts'
import { headerView } from './header-view.ts'
import { fromRaw, fromWire } from './wire-text.ts'

interface CheckHeaders {
  /** Undefined where both encodings are filled and differ. */
  readonly headers: HeaderMap | undefined
  readonly facts?: HeaderFacts
}

/** The headers of a check: as they lie in it where they are of the usual form, else taken apart one by one. */
export function headersOf(check: CheckOutline): CheckHeaders {
  return usual(check) ?? { headers: unusual(check) }
}

function usual({ bytes, joined, raw }: CheckOutline): CheckHeaders | undefined {
  if (raw.length === 0) return headerView(bytes, joined)
  return joined.length === 0 ? headerView(bytes, raw) : undefined
}

function unusual({ bytes, joined, raw }: CheckOutline): HeaderMap | undefined {
  const read = (range: HeaderRange): WireHeader => [nameOf(bytes, range), valueOf(bytes, range)]
  return checkHeaders(new Map(joined.map(read)), raw.map(read)) // of a protobuf map's key the last entry counts
}

const nameOf = (bytes: Buffer, { name, nameEnd }: HeaderRange): string => bytes.toString('utf8', name, nameEnd)

const valueOf = (bytes: Buffer, { value, valueEnd, raw }: HeaderRange): string =>
  raw ? fromRaw(bytes.subarray(value, valueEnd)) : fromWire(bytes.toString('utf8', value, valueEnd))

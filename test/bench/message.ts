/** A request made ahead, with the places that differ from one to the next. */
export interface Message {
  readonly bytes: Buffer
  /** Offsets at which twelve hexadecimal digits make the request one of its kind: trace id, request id, path. */
  readonly serials: readonly number[]
  /** Offsets of two groups of an IPv6 address. */
  readonly groups: readonly number[]
  /** Offsets at which the credential stands. */
  readonly credentials: readonly number[]
}

/** Stands in a request where its serial number will. */
export const serialMark = '############'

/** Stands in a request where two groups of an IPv6 address are made of the serial number. */
export const groupsMark = '####:####'

/** Stands in a request where a credential of this length will. */
export const credentialMark = (length: number): string => '~'.repeat(length)

/** Finds the marks in an encoded request. */
export const message = (bytes: Buffer, credentialLength: number): Message => ({
  bytes,
  serials: places(bytes, serialMark),
  groups: places(bytes, groupsMark),
  credentials: credentialLength === 0 ? [] : places(bytes, credentialMark(credentialLength)),
})

function places(bytes: Buffer, mark: string): readonly number[] {
  const found: number[] = []
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) found.push(at)
  return found
}

/** Writes one request: a copy, and the few bytes that are its own. */
export function writeMessage(from: Message, into: Buffer, at: number, serial: string, credential: string): void {
  from.bytes.copy(into, at)
  for (const place of from.serials) into.write(serial, at + place, 'latin1')
  for (const place of from.groups) into.write(`${serial.slice(4, 8)}:${serial.slice(8)}`, at + place, 'latin1')
  for (const place of from.credentials) into.write(credential, at + place, 'latin1')
}

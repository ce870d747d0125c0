/** A hash in the PHC string format: `$id$v=19$m=1,t=2$salt$hash`. */
export interface PhcString {
  readonly id: string
  /** Decimal digits. */
  readonly version: string | undefined
  /** Value of one of the parameters asked for. */
  readonly parameter: (name: string) => number
  readonly salt: Buffer
  readonly hash: Buffer
}

const form =
  /^\$([a-z0-9-]{1,32})(?:\$v=(\d{1,5}))?\$([a-z]{1,8}=\d{1,10}(?:,[a-z]{1,8}=\d{1,10}){0,7})\$([^$]{1,172})\$([^$]{1,172})$/

/**
 * Reads a PHC string that has exactly these parameters, all numbers, each once; undefined for anything else, and for a
 * salt under 8 or a hash under 16 bytes.
 */
export function parsePhc(text: string, ...names: readonly string[]): PhcString | undefined {
  const match = form.exec(text)
  if (match === null) return undefined
  const [, id = '', version, list = '', saltText = '', hashText = ''] = match
  const pairs = list.split(',').map((pair) => pair.split('='))
  const values = new Map(pairs.map(([name = '', value]) => [name, Number(value)]))
  const exact = values.size === pairs.length && values.size === names.length && names.every((name) => values.has(name))
  const [salt, hash] = [unpaddedBase64(saltText, 8), unpaddedBase64(hashText, 16)]
  if (!exact || salt === undefined || hash === undefined) return undefined
  const parameter = (name: string): number => values.get(name) ?? Number.NaN
  return { id, version, parameter, salt, hash }
}

/** Base 64 without padding, in its one spelling only, of so many bytes at least. */
export function unpaddedBase64(text: string, least: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length >= least && showUnpadded(bytes) === text ? bytes : undefined
}

/** Base 64 without padding, as PHC strings hold it. */
export const showUnpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

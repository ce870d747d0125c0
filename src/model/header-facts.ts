import type { DenyReason } from './decision.ts'
import type { HeaderMap } from './header.ts'

/** What is to be known of a request's headers whatever a policy looks at. */
export interface HeaderFacts {
  /** Names that hold more than lower-case letters, digits and hyphens: a backend may take them for other headers. */
  readonly unusualNames: readonly string[]
  readonly fault: DenyReason | undefined
}

export const limits = { headerFields: 256, headerBytes: 65_536, headerValueBytes: 32_768 } as const

/** What a transport counts while it goes through headers, each value a field of its own. */
export interface HeaderTally {
  readonly fields: number
  /** Of all names and values, a name for each value. */
  readonly bytes: number
  readonly longestValue: number
  /** True where a value holds a control character that is no tab. */
  readonly controls: boolean
  /** True where `Authorization` is there more than once, or its value may be several that a proxy joined. */
  readonly credentials: boolean
}

/** The one fault of headers that counts, in whichever order they came. */
export function headersFault(tally: HeaderTally): DenyReason | undefined {
  const { headerFields, headerBytes, headerValueBytes } = limits
  if (tally.longestValue > headerValueBytes || tally.fields > headerFields || tally.bytes > headerBytes)
    return 'too-large'
  if (tally.controls) return 'bad-header'
  return tally.credentials ? 'repeated-credential' : undefined
}

/** Goes through headers once; `examined` where a parser refused control characters in values before. */
export function headerFacts(headers: HeaderMap, examined = false): HeaderFacts {
  const unusualNames: string[] = []
  const tally = { fields: 0, bytes: 0, longestValue: 0, controls: false, credentials: false }
  for (const [name, values] of headers) {
    if (!usual.test(name)) unusualNames.push(name)
    tally.fields += values.length
    for (const value of values) {
      tally.bytes += name.length + value.length
      tally.longestValue = Math.max(tally.longestValue, value.length)
      tally.controls ||= !examined && control.test(value)
    }
    if (name.toLowerCase() === 'authorization') tally.credentials ||= name !== 'authorization' || several(values)
  }
  return { unusualNames, fault: headersFault(tally) }
}

const usual = /^[a-z0-9-]+$/
const control = /[\x00-\x08\x0a-\x1f\x7f]/

/** Envoy joins repeated lines with a comma, which no credential of ours contains: two of them are never guessed between. */
const several = (values: readonly string[]): boolean => values.length > 1 || values.some((value) => value.includes(','))

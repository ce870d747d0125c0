import { fault, failed, ok, weakness } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import type { Compiled } from './method.ts'
import type { PasswordFormat } from './password/format.ts'
import { formatOf } from './password/index.ts'

/** A user's stored hash with the milliseconds that checking it takes. */
export interface PasswordLine {
  readonly hash: string
  readonly millis: number
}

/** Users by name (NFC, case-sensitive). */
export type PasswordFile = ReadonlyMap<string, PasswordLine>

/** The formats that are so weak that a policy has to ask for them. */
export interface PasswordOptIns {
  readonly allowDesCrypt: boolean
  readonly allowPlaintext: boolean
}

const limits = {
  fileBytes: 4 * 2 ** 20,
  lineLength: 1024,
  /** One check may hold a core for this long. */
  millis: 1000,
  kibibytes: 256 * 1024,
  /** Longer ones run out of Envoy's default time (200 ms, our margin off) when they are not remembered. */
  comfortableMillis: 150,
  complaints: 100,
} as const

const better = 'make a new line with `gatehouse hash password`'

/** The entry of an object that a password file is in. */
export interface FileEntry {
  readonly kind: 'Secret' | 'ConfigMap'
  readonly namespace: string
  readonly name: string
  readonly key: string
}

/** A finding at the policy whose cause is in the object that the policy names. */
export interface PlacedFinding extends Finding {
  readonly entry: FileEntry
}

/** `Secret shop/staff .htpasswd`: what people have to open. */
export const showEntry = ({ kind, namespace, name, key }: FileEntry): string => `${kind} ${namespace}/${name} ${key}`

/** Says in which entry the lines are that a finding of a password file counts. */
export const inEntry = (finding: Finding, entry: FileEntry): PlacedFinding => ({
  ...finding,
  entry,
  say: `${showEntry(entry)}${/^lines? \d/.test(finding.say) ? ',' : ':'} ${finding.say}`,
})

type Read = Result<Compiled<PasswordFile>>
const known = new WeakMap<Uint8Array, Map<string, Read>>()

/** A password file, read once however many policies name it: a thousand of them may share ten thousand users (REL-32). */
export function passwordFile(bytes: Uint8Array, optIns: PasswordOptIns): Read {
  const ofBytes = known.get(bytes) ?? new Map<string, Read>()
  known.set(bytes, ofBytes)
  const choice = `${optIns.allowDesCrypt} ${optIns.allowPlaintext}`
  const read = ofBytes.get(choice) ?? parsePasswordFile(bytes, optIns)
  ofBytes.set(choice, read)
  return read
}

const dearestLines = new WeakMap<PasswordFile, PasswordLine>()

/** The user whose password takes longest to check; undefined where there is no user. */
export function dearestOf(users: PasswordFile): PasswordLine | undefined {
  let dearest = dearestLines.get(users)
  if (dearest !== undefined) return dearest
  for (const line of users.values()) if (dearest === undefined || line.millis > dearest.millis) dearest = line
  if (dearest !== undefined) dearestLines.set(users, dearest)
  return dearest
}

/**
 * Reads a password file as Apache does: `user:hash`, further fields ignored, blank lines and `#` comments skipped, white
 * space around lines dropped; CRLF and a BOM are taken. One bad line fails the file, so that nobody has to guess who can
 * log in. Findings name lines by number and never quote them.
 */
export function parsePasswordFile(bytes: Uint8Array, optIns: PasswordOptIns): Read {
  if (bytes.length > limits.fileBytes) {
    return failed([fault('too-large', [], `the password file is larger than ${limits.fileBytes} bytes`)])
  }
  const text = utf8(bytes)
  if (text === undefined) return failed([fault('bad-reference', [], 'the password file is not UTF-8')])
  const users = new Map<string, PasswordLine>()
  const faults: Finding[] = []
  const remarks = new Map<string, Remarked>()
  for (const [number, line] of meaningfulLines(text)) {
    const read = readLine(line, optIns)
    const refusal = read.kind === 'good' && users.has(read.user) ? repeatedUser : read
    if (refusal.kind === 'bad') faults.push(fault(refusal.code, [], `line ${number} ${refusal.say}`, refusal.mend))
    if (read.kind === 'bad') continue
    users.set(read.user, read)
    for (const remark of read.remarks) {
      const noted = remarks.get(remark.say) ?? { remark, lines: [] }
      noted.lines.push(number)
      remarks.set(remark.say, noted)
    }
  }
  if (faults.length > 0) return failed(faults.slice(0, limits.complaints))
  return ok({ value: users, findings: users.size === 0 ? [nobody] : [...remarks.values()].map(advice) })
}

const meaningfulLines = (text: string): readonly (readonly [number: number, line: string])[] =>
  text.split('\n').flatMap((raw, index) => {
    const line = raw.trim()
    return line === '' || line.startsWith('#') ? [] : [[index + 1, line] as const]
  })

const nobody = weakness('nothing-to-check', [], 'the password file names no user: every request is refused')

interface Bad {
  readonly kind: 'bad'
  readonly code: 'bad-password-line' | 'weak-password-hash' | 'password-too-costly'
  readonly say: string
  readonly mend?: string
}

type Line = Bad | (PasswordLine & { readonly kind: 'good'; readonly user: string; readonly remarks: readonly Remark[] })

const bad = (say: string, mend?: string, code: Bad['code'] = 'bad-password-line'): Bad => ({
  kind: 'bad',
  code,
  say,
  ...(mend === undefined ? {} : { mend }),
})

const repeatedUser = bad('names a user for the second time', 'keep one line for each user')

function readLine(line: string, optIns: PasswordOptIns): Line {
  const [name = '', hash, more] = line.split(':', 3)
  if (line.length > limits.lineLength) return bad(`is longer than ${limits.lineLength} characters`)
  if (hash === undefined) return bad('has no colon', 'write user:hash')
  if (name === '' || /\p{Cc}/u.test(name)) return bad('has no user name, or control characters in it')
  if (hash === '') return bad('has no hash', better)
  const format = formatOf(hash)
  if (format === undefined) return bad('has a hash of an unknown format', better)
  const refusal = optInRefusal(format, optIns, more)
  if (refusal !== undefined) return refusal
  const cost = priced(format, hash)
  return cost.kind === 'bad' ? cost : { ...cost, user: name.normalize('NFC'), hash }
}

function optInRefusal({ name, optIn }: PasswordFormat, optIns: PasswordOptIns, more?: string): Bad | undefined {
  if (optIn === undefined) return undefined
  if (!optIns[optIn]) return bad(`is ${name}`, `${better}, or set ${optIn}`, 'weak-password-hash')
  // Apache would cut the password at the colon.
  return optIn === 'allowPlaintext' && more !== undefined ? bad('has a plain password with a colon', better) : undefined
}

function priced(
  format: PasswordFormat,
  hash: string,
): Bad | { readonly kind: 'good'; readonly millis: number; readonly remarks: readonly Remark[] } {
  const cost = format.examine(hash)
  if (cost.kind === 'unreadable') return bad(cost.say, better)
  const { millis, kibibytes, weak } = cost
  if (millis > limits.millis || kibibytes > limits.kibibytes) {
    return bad('costs more time or memory than one request may', better, 'password-too-costly')
  }
  const slow = millis > limits.comfortableMillis ? [slowRemark(format.name)] : []
  return { kind: 'good', millis, remarks: weak === undefined ? slow : [weakRemark(format.name, weak), ...slow] }
}

interface Remark {
  readonly code: 'weak-password-hash' | 'password-too-costly'
  readonly say: string
}

interface Remarked {
  readonly remark: Remark
  readonly lines: number[]
}

const weakRemark = (format: string, weak: string): Remark => ({ code: 'weak-password-hash', say: `${format} ${weak}` })

const slowRemark = (format: string): Remark => ({
  code: 'password-too-costly',
  say: `${format} at this cost takes longer than an answer over gRPC may: a first try can run out of time`,
})

/** One finding for all lines that share a weakness. */
function advice({ remark: { code, say }, lines }: Remarked): Finding {
  const shown = lines.slice(0, 10).join(', ')
  const rest = lines.length > 10 ? ` and ${lines.length - 10} more` : ''
  return weakness(code, [], `${lines.length === 1 ? 'line' : 'lines'} ${shown}${rest}: ${say}`, better)
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

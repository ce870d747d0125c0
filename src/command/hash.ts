import type { Readable, Writable } from 'node:stream'
import { apiKeyFault, hashApiKey, newApiKey, parseExpiry } from '../authn/api-key-line.ts'
import { hashPassword } from '../authn/hash-line.ts'
import type { PasswordFormat } from '../authn/hash-line.ts'
import { UsageError } from './usage-error.ts'

/** Streams of the process, so that a test can be the terminal. */
export interface Terminal {
  readonly input: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown }
  readonly output: Writable
  readonly messages: Writable
}

export interface HashPasswordOptions {
  readonly format: PasswordFormat
  readonly user?: string
}

/** Prints a password-file line; the password comes from the terminal or standard input, never from the arguments. */
export async function hashPasswordCommand({ format, user }: HashPasswordOptions, terminal: Terminal): Promise<void> {
  if (user !== undefined && /[:\x00-\x1f\x7f]/.test(user))
    throw new UsageError('a user name has no colon and no control characters')
  const password = await readSecret('Password', terminal)
  const hash = await hashPassword(password, format).catch((cause: unknown) => {
    throw cause instanceof RangeError ? new UsageError(cause.message) : cause
  })
  terminal.output.write(user === undefined ? `${hash}\n` : `${user}:${hash}\n`)
}

export interface HashKeyOptions {
  readonly generate: boolean
  readonly expires?: string
}

/** Prints an API key line; with `generate` also the new key itself, on standard error, this once. */
export async function hashKeyCommand({ generate, expires }: HashKeyOptions, terminal: Terminal): Promise<void> {
  const until =
    expires === undefined ? undefined : parseExpiry(expires.length === 10 ? `${expires}T00:00:00Z` : expires)
  if (expires !== undefined && until === undefined) {
    throw new UsageError(`"${expires}" is not a date; write one such as 2027-01-31 or 2027-01-31T12:00:00Z`)
  }
  if (until !== undefined && until <= Date.now()) {
    throw new UsageError(`"${expires}" is past: the key would be refused from the start; give a date to come`)
  }
  const key = generate ? newApiKey() : await readSecret('API key', terminal)
  const fault = apiKeyFault(key)
  if (fault !== undefined) throw new UsageError(`this is no API key: it ${fault}`)
  const line = hashApiKey(key, until === undefined ? undefined : new Date(until))
  if (generate) terminal.messages.write(`The key, shown this once: ${key}\nThe line for the Secret:\n`)
  terminal.output.write(`${line}\n`)
}

async function readSecret(name: string, terminal: Terminal): Promise<string> {
  if (terminal.input.isTTY !== true) return oneLine(name, await everything(terminal.input))
  const [first = '', second] = await typed([`${name}: `, `${name} again: `], terminal)
  if (first !== second) throw new UsageError('the two do not match')
  return oneLine(name, first)
}

const maxSecretBytes = 4096

async function everything(input: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    const piece = Buffer.from(chunk as Uint8Array)
    bytes += piece.length
    if (bytes > maxSecretBytes) throw new UsageError(`standard input holds more than ${maxSecretBytes} bytes`)
    chunks.push(piece)
  }
  return decoded(Buffer.concat(chunks))
}

/** A lenient decoder would put U+FFFD for what it cannot read: another password, and one that many share. */
function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new UsageError('what was given is not UTF-8 text')
  }
}

function oneLine(name: string, text: string): string {
  const line = text.replace(/\r?\n$/, '')
  if (line === '') throw new UsageError(`no ${name.toLowerCase()} was given`)
  if (/[\x00-\x1f\x7f]/.test(line))
    throw new UsageError(`a ${name.toLowerCase()} is one line without control characters`)
  return line
}

/** Reads a line for each prompt from a terminal without showing it; several may come in one piece, pasted. */
function typed(prompts: readonly string[], { input, messages }: Terminal): Promise<readonly string[]> {
  input.setRawMode?.(true)
  messages.write(prompts[0] ?? '')
  return new Promise((done, fail) => {
    const lines: string[] = []
    let line: readonly number[] = []
    const end = (settle: () => void): void => {
      input.off('data', take)
      input.setRawMode?.(false)
      input.pause()
      settle()
    }
    const enter = (): void => {
      messages.write(`\n${prompts[lines.length + 1] ?? ''}`)
      lines.push(decoded(Uint8Array.from(line)))
      line = []
    }
    const take = (bytes: Uint8Array): void => {
      try {
        for (const byte of bytes) {
          if (byte === keys.return || byte === keys.newline) enter()
          else if (byte === keys.interrupt || byte === keys.end) throw new UsageError('stopped')
          else line = byte === keys.delete || byte === keys.backspace ? shortened(line) : [...line, byte]
          if (lines.length === prompts.length) return end(() => done(lines))
        }
      } catch (cause) {
        messages.write('\n')
        end(() => fail(cause))
      }
    }
    input.on('data', take)
    input.resume()
  })
}

const keys = { interrupt: 3, end: 4, backspace: 8, newline: 10, return: 13, delete: 127 }

/** Without the last character, which may be several bytes of UTF-8. */
const shortened = (line: readonly number[]): readonly number[] =>
  line.slice(
    0,
    Math.max(
      line.findLastIndex((byte) => (byte & 0xc0) !== 0x80),
      0,
    ),
  )

import { PassThrough, Readable } from 'node:stream'
import { program } from '../../src/command/program.ts'
import { UsageError } from '../../src/command/usage-error.ts'

/** What a run of the command line left behind. */
export interface Ran {
  readonly code: number
  readonly output: string
  readonly messages: string
}

export interface RunOptions {
  readonly input?: string | Uint8Array
  readonly environment?: Readonly<Record<string, string>>
  readonly node?: string
  /** Sends this signal as soon as a message matches. */
  readonly stopAfter?: RegExp
  readonly signal?: 'SIGTERM' | 'SIGINT'
}

/** Runs the command line as `main.ts` does, in this process. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const output = collector()
  const signals = new Map<string, () => void>()
  const messages = collector((text) => {
    if (options.stopAfter?.test(text) === true) setImmediate(() => signals.get(options.signal ?? 'SIGINT')?.())
  })
  let code: number
  try {
    code = await program({
      version: '1.2.3',
      args,
      environment: options.environment ?? {},
      node: options.node ?? process.versions.node,
      input: Readable.from(options.input === undefined ? [] : [Buffer.from(options.input)]),
      output: output.stream,
      messages: messages.stream,
      onSignal: (name, call) => {
        signals.set(name, call)
        return () => signals.delete(name)
      },
      exit: () => undefined,
    })
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause
    code = 2
    messages.stream.write(`gatehouse: ${cause.message}\n`)
  }
  return { code, output: output.text(), messages: messages.text() }
}

function collector(seen: (text: string) => void = () => undefined): { stream: PassThrough; text: () => string } {
  const stream = new PassThrough()
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    seen(text)
  })
  return { stream, text: () => text }
}

#!/usr/bin/env -S node --v8-pool-size=0 --min-semi-space-size=16
import { createRequire, enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { usableStartFile } from './command/start-file.ts'

/*
 * The entrance: gives the command line the process, and turns whatever comes back into an exit code.
 * 0 is fine, 1 means that problems were found, 2 that the command line or the surroundings have to be changed.
 * The flags in the first line give V8 as many threads of its own as there are cores to spare, and not always four: on one core they
 * only get in the way of the one that answers; and from the start the room for new objects (MiB) that it would come to have anyway:
 * while it grows, the same objects are moved again and again.
 */

const { version } = createRequire(import.meta.url)('../package.json') as { version: string }

// Should an operator ask Node for a diagnostic report, it goes to places where an environment does not belong.
if (process.report !== undefined) process.report.excludeEnv = true

// What V8 compiled is kept beside the packages that it is made of, by whoever may write there; elsewhere nothing is kept, which is no
// fault. Never in a directory for temporary files, Node's own choice: whoever writes there first would write what we run.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/gatehouse', import.meta.url)))

type Start = typeof import('./command/start.ts')

const file = usableStartFile()
const start = file === undefined ? await import('./command/start.ts') : ((await import(file)) as Start)
const supervisor = await start.supervisorOf(process.send !== undefined)

try {
  process.exitCode = await start.program({
    version,
    args: process.argv.slice(2),
    environment: process.env,
    node: process.versions.node,
    input: process.stdin,
    output: process.stdout,
    messages: supervisor?.messages ?? process.stderr,
    onSignal:
      supervisor?.onSignal ??
      ((name, call) => {
        process.on(name, call)
        return () => process.off(name, call)
      }),
    onFault: (call) => {
      process.on('uncaughtException', call) // a rejection that nobody handles comes here too
      return () => process.off('uncaughtException', call)
    },
    exit: (code) => process.exit(code),
    supervisor,
  })
} catch (cause) {
  const expected = cause instanceof start.UsageError
  const messages = supervisor?.messages ?? process.stderr
  messages.write(`gatehouse: ${expected ? cause.message : (cause as Error).stack}\n`)
  process.exitCode = expected ? 2 : 1
} finally {
  supervisor?.leave()
}

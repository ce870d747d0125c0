import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Compiles the program to `dist/`, as its image has it. Rejects with the compiler's complaints. */
export async function build(): Promise<void> {
  try {
    await promisify(execFile)(`${root}node_modules/.bin/tsc`, ['-p', 'src/tsconfig.json'], { cwd: root })
    await promisify(execFile)(process.execPath, ['deploy/bundle.ts'], { cwd: root })
  } catch (cause) {
    throw new Error(`the program does not compile:\n${(cause as { stdout?: string }).stdout || String(cause)}`, {
      cause,
    })
  }
}

/** What `gatehouse serve --help` says of the compiled program. */
export async function helpText(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [`${root}dist/main.js`, 'serve', '--help'])
  return stdout
}

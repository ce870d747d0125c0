import { spawn } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { relative } from 'node:path'

/*
 * The one test command: format, lint, types, then every test. Each check counts as one; the last line is the sum of all.
 * `npm run test:fast` leaves out the tests that run real proxies and a Kubernetes API server, whose first build takes minutes.
 */

const report = '.cache/vitest.json'
const fast = process.argv.includes('--fast')

interface Tally {
  passed: number
  failed: number
  skipped: number
}

const total: Tally = { passed: 0, failed: 0, skipped: 0 }
/** Told together at the end: it is far up to where they were told first. */
const failures: string[] = []

/** The parts in use of what vitest writes. */
interface Report {
  readonly numTotalTests?: number
  readonly numPassedTests?: number
  readonly numFailedTests?: number
  readonly numPendingTests?: number
  readonly numTodoTests?: number
  readonly testResults?: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

/** A line for each failure, and one for what each try of it said. */
function failuresOf({ testResults = [] }: Report): string[] {
  const begin = (text: string): string => text.split('\n', 1)[0] ?? ''
  return testResults
    .filter(({ status }) => status === 'failed')
    .flatMap(({ name, message, assertionResults }) => [
      ...(message === '' ? [] : [`${relative('.', name)}: ${begin(message)}`]),
      ...assertionResults
        .filter(({ status }) => status === 'failed')
        .flatMap((one) => [
          `${relative('.', name)}: ${one.fullName}`,
          ...one.failureMessages.map((each) => `    ${begin(each)}`),
        ]),
    ])
}

function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<boolean> {
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...environment } })
    child.on('error', () => done(false))
    child.on('exit', (code) => done(code === 0))
  })
}

async function check(name: string, command: string, ...args: readonly string[]): Promise<void> {
  const started = Date.now()
  const passed = await run(command, args)
  total[passed ? 'passed' : 'failed'] += 1
  if (!passed) failures.push(name)
  process.stdout.write(`${passed ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`)
}

/** The tests that reach Gatehouse over gRPC, which run once more with the codec that ours is held against. */
const overGrpc = [
  'test/e2e/envoy',
  'test/e2e/rolling-restart',
  'test/security',
  'test/reload',
  'test/kubernetes/e2e.test',
]

async function tests(name: string, files: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<void> {
  const started = Date.now()
  await mkdir('.cache', { recursive: true })
  await rm(report, { force: true })
  const left = fast ? ['--exclude', 'test/e2e/**', '--exclude', 'test/kubernetes/**'] : []
  // On a machine shared with strangers a time limit may be missed once: another try is told in the output, and is the last.
  const tries = process.env['CI'] === 'true' ? ['--retry=2'] : []
  const limits = ['--testTimeout=30000', '--hookTimeout=240000', '--maxWorkers=2', ...tries]
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const passed = await run('vitest', ['run', ...reporters, ...limits, ...left, ...files], environment)
  const result = JSON.parse(await readFile(report, 'utf8').catch(() => '{}')) as Report
  const failed = (result.numFailedTests ?? 0) + (result.numTotalTests === undefined ? 1 : 0)
  total.passed += result.numPassedTests ?? 0
  total.skipped += (result.numPendingTests ?? 0) + (result.numTodoTests ?? 0)
  if (!passed) failures.push(name, ...failuresOf(result).map((line) => `  ${line}`))
  // A file that cannot be loaded, or an error outside any test, fails the run without failing a test.
  total.failed += passed ? failed : Math.max(failed, 1)
  process.stdout.write(`${passed ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`)
}

await check('format', 'prettier', '--check', '--log-level', 'warn', '.')
await check('lint', 'oxlint', '--type-aware', '--deny-warnings', 'src', 'test')
await check('types', 'tsc', '--noEmit')
if (fast)
  process.stdout.write('left out: test/e2e (real proxies) and test/kubernetes (an API server built once, in minutes)\n')
else await check('API server for tests', 'node', 'test/support/api-server-program.ts')
await tests('tests', [])
await tests('tests over gRPC, reference codec', overGrpc, { CODEC: 'reference' })
if (failures.length > 0) process.stdout.write(`\nFailed:\n${failures.map((line) => `  ${line}\n`).join('')}`)
const skipped = total.skipped === 0 ? '' : `, ${total.skipped} skipped`
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed${skipped}\n`)
process.exitCode = total.failed === 0 && total.passed > 3 ? 0 : 1

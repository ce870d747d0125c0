import { Argument, Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander'
import type { Readable, Writable } from 'node:stream'
import { passwordFormats } from '../authn/hash-line.ts'
import { defaultSettings, environmentArguments, settingOptions, unknownVariables } from '../settings.ts'
import type { Settings } from '../settings.ts'
import type { Supervisor } from './worker.ts'
import type { HashKeyOptions, HashPasswordOptions } from './hash.ts'
import { outdatedNode } from './node-floor.ts'
import { pageOf, reportJson, showReport } from './show-report.ts'
import type { Signal } from './serve.ts'
import { UsageError } from './usage-error.ts'

// What only one command needs is imported by that command: `serve` starts in a fraction of the time.

/** The process as the command line sees it. */
export interface Surroundings {
  readonly version: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `process.versions.node` */
  readonly node: string
  readonly input: Readable
  readonly output: Writable
  readonly messages: Writable
  readonly onSignal: (name: 'SIGTERM' | 'SIGINT', call: () => void) => () => void
  /** Tells of each error that nothing caught; without it they are the caller's. */
  readonly onFault?: (call: (cause: unknown) => void) => () => void
  readonly exit: (code: number) => void
  /** Where this process is one of several that share the ports. */
  readonly supervisor?: Supervisor | undefined
}

/** Runs the command line to its end; gives the exit code. Throws UsageError for what the caller has to change. */
export async function program(around: Surroundings): Promise<number> {
  const result = { code: 0 }
  around.output.on('error', readNoFurther)
  const root = commands(around, (code) => (result.code = code))
  try {
    await root.parseAsync(withEnvironment(around), { from: 'user' })
    return result.code
  } catch (cause) {
    if (cause instanceof InvalidArgumentError) throw new UsageError(cause.message)
    if (!(cause instanceof CommanderError)) throw cause
    return cause.exitCode === 0 ? 0 : 2
  }
}

/** Whoever reads no further, as `head` does, has seen enough. */
function readNoFurther(cause: NodeJS.ErrnoException): void {
  if (cause.code !== 'EPIPE') throw cause
}

/** Settings from the environment go before those of the command line, so that the latter win. */
function withEnvironment({ args, environment }: Surroundings): string[] {
  const [command, ...rest] = args
  if (command !== 'check' && command !== 'serve') return [...args]
  const [unknown] = unknownVariables(environment)
  if (unknown !== undefined) throw new UsageError(unknown)
  const said = command === 'check' ? environmentOfCheck(environment) : environmentArguments(environment)
  return [command, ...said, ...rest]
}

function commands(around: Surroundings, exit: (code: number) => void): Command {
  const root = new Command('gatehouse')
    .description('External authorization for the Kubernetes Gateway API: one policy for each rule of a route.')
    .version(around.version, '-V, --version', 'Print the version.')
    .helpOption('-h, --help', 'Print this help.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void around.output.write(text),
      writeErr: (text) => void around.messages.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'gatehouse: ')),
    })
    .showSuggestionAfterError(true)
    .showHelpAfterError('(see gatehouse --help)')
    .addHelpText('after', examples)
  addServe(root, around, exit)
  addCheck(root, around, exit)
  addHash(root, around)
  root
    .command('crd')
    .description('Print the CustomResourceDefinition of AuthPolicy.')
    .action(async () => void around.output.write((await import('./crd.ts')).crdYaml()))
  return root
}

const examples = `
Examples:
  gatehouse serve policies/                      answer gateways by the policies in a directory
  gatehouse check policies/                      tell everything that is wrong with them
  gatehouse crd | kubectl apply -f -             teach a cluster the AuthPolicy
  gatehouse serve --kubernetes                   answer gateways by the policies in a cluster
  gatehouse hash password --user ada             make a line for a password file
  gatehouse hash key --generate                  make an API key and the line that stands for it

Every setting of serve can also come from the environment: --grpc-listen is GATEHOUSE_GRPC_LISTEN.`

const directory = (): Argument => new Argument('[dir]', 'directory of YAML manifests').default('policies')

function addServe(root: Command, around: Surroundings, exit: (code: number) => void): void {
  const command = root
    .command('serve')
    .description('Answer gateways by the policies in a directory.')
    .addArgument(directory())
  const options = settingOptions()
  for (const { option } of options) command.addOption(option)
  const variables = new Map(options.map(({ option, variable }) => [option, variable]))
  command.configureHelp({
    optionDescription(option) {
      const variable = variables.get(option)
      const plain = new Help().optionDescription(option)
      return variable === undefined ? plain : `${plain} [${variable}]`
    },
  })
  command.action(async (dir: string, settings: Settings) => {
    const outdated = outdatedNode(around.node)
    if (outdated !== undefined && !settings.allowOldNode) throw new UsageError(outdated)
    around.output.off('error', readNoFurther) // of a server nobody would read the decisions any more
    const process = {
      say: (line: string) => void around.messages.write(`${line}\n`),
      onStop: (stop: (signal: Signal) => void) => onStop(around, stop),
      onFault: around.onFault ?? (() => () => undefined),
    }
    if (settings.workers > 1 && around.supervisor === undefined) {
      return exit(await (await import('./workers.ts')).supervise(settings, process))
    }
    const ended = await (await import('./serve.ts')).serve(dir, settings, process, around.supervisor)
    exit(ended === 'fault' ? 1 : 0)
  })
}

/** The first signal stops; one that comes while stopping ends the process there and then. */
function onStop(around: Surroundings, stop: (signal: Signal) => void): () => void {
  const names = ['SIGTERM', 'SIGINT'] as const
  const offs = names.map((name) => around.onSignal(name, () => stop(name)))
  return () => {
    for (const off of offs) off()
    for (const name of names) around.onSignal(name, () => around.exit(1))
  }
}

/** The settings that decide what `check` finds, besides the directory. */
const checked: readonly string[] = ['kubernetes', 'namespaces', 'service', 'trustedProxies', 'httpBudget', 'grpcBudget']

/** Where Gatehouse runs, `check` sees what `serve` does. Only the command line says whether a directory or the cluster is meant. */
function environmentOfCheck(environment: Surroundings['environment']): readonly string[] {
  const flags = settingOptions().flatMap(({ option }) =>
    checked.includes(option.attributeName()) && option.attributeName() !== 'kubernetes' ? (option.long ?? []) : [],
  )
  return environmentArguments(environment).filter((argument) => flags.some((flag) => argument.startsWith(`${flag}=`)))
}

function addCheck(root: Command, around: Surroundings, exit: (code: number) => void): void {
  const command = root
    .command('check')
    .description(
      'Tell everything that is wrong with policies and with how gateways ask for them; exit 1 if anything is.',
    )
    .addArgument(directory())
    .option('--schema', 'Print the JSON schema of an AuthPolicy instead.')
    .addOption(
      new Option('--output <form>', 'Print it for people or for programs.').choices(['text', 'json']).default('text'),
    )
  for (const { option } of settingOptions()) if (checked.includes(option.attributeName())) command.addOption(option)
  command.action(async (dir: string, { schema, output, ...given }: Settings & { schema?: boolean; output: string }) => {
    const { authPolicyJsonSchema } = await import('../policy/document.ts')
    const { checkCluster, checkDirectory } = await import('./check.ts')
    if (schema === true) return void around.output.write(`${JSON.stringify(authPolicyJsonSchema(), null, 2)}\n`)
    const settings = { ...defaultSettings(), ...given }
    const report = await (settings.kubernetes ? checkCluster(settings) : checkDirectory(dir, settings))
    const lines =
      output === 'json' ? [JSON.stringify(reportJson(report), null, 2)] : showReport(report, pageOf(around.output))
    around.output.write(`${lines.join('\n')}\n`)
    exit(report.findings.some(({ severity }) => severity === 'error') ? 1 : 0)
  })
}

function addHash(root: Command, around: Surroundings): void {
  const hash = root.command('hash').description('Make the line that stands for a password or an API key.')
  const terminal = { input: around.input, output: around.output, messages: around.messages }
  hash
    .command('password')
    .description('Make a password-file line. The password is read from the terminal or standard input.')
    .option('--user <name>', 'Put the user name in front, as in a password file.')
    .addOption(new Option('--format <format>', 'How to hash.').choices(passwordFormats).default('argon2id'))
    .action(async (options: HashPasswordOptions) => (await import('./hash.ts')).hashPasswordCommand(options, terminal))
  hash
    .command('key')
    .description('Make an API key line. The key is read from the terminal or standard input, or made.')
    .option('--generate', 'Make a new key, and show it this once.', false)
    .option('--expires <date>', 'Refuse the key from this date on.')
    .action(async (options: HashKeyOptions) => (await import('./hash.ts')).hashKeyCommand(options, terminal))
}

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it } from 'vitest'
import { apiServerProgram } from './api-server-program.ts'
import { kubeClient } from './kube-client.ts'
import type { KubeClient } from './kube-client.ts'
import { freePorts, until, within } from './program.ts'

/** Versions of the Gateway API whose experimental definitions lie in test/kubernetes/crds. */
export const gatewayApiVersions = ['v1.4.1', 'v1.7.0'] as const
export type GatewayApiVersion = (typeof gatewayApiVersions)[number]

export interface ApiServerOptions {
  /** Definitions to start with: of one version of the Gateway API, or of none. */
  readonly crds?: GatewayApiVersion | 'none'
  /** Where its state lies; a folder of the caller's is kept. */
  readonly dir?: string
  /** Garbage collector, namespace and service-account controllers. */
  readonly controllers?: boolean
  /** Flags of kube-apiserver. */
  readonly flags?: readonly string[]
}

/** A real Kubernetes API server of one test file. Its client speaks as cluster-admin. */
export interface ApiServer extends KubeClient {
  /** Base URL, the same after a restart. */
  readonly server: string
  readonly token: string
  /** In PEM. */
  readonly ca: string
  /** Path of a file for programs that take one. */
  readonly kubeconfig: string
  readonly dir: string
  readonly pid: () => number
  /** From its start to the moment when it reported ready. */
  readonly readyMillis: () => number
  /** Applies the definitions of a version to the running server, as an operator does who comes late. */
  readonly install: (crds: GatewayApiVersion) => Promise<void>
  readonly stop: () => Promise<void>
  /** SIGKILL: nothing is flushed, closed or said. */
  readonly kill: () => Promise<void>
  /** The same state on the same port, after `kill` or in place of what runs. */
  readonly restart: () => Promise<void>
}

/** What the program prints when it is ready. */
interface Ready {
  readonly server: string
  readonly token: string
  readonly ca: string
  readonly kubeconfig: string
  readonly readyMs: number
}

interface Process {
  readonly pid: number
  readonly ready: Ready
  readonly end: (signal: NodeJS.Signals) => Promise<void>
}

const definitions = (version: GatewayApiVersion): string => resolve(import.meta.dirname, '../kubernetes/crds', version)

/** Starts an API server and waits until it has the definitions asked for and its first namespace. */
export async function apiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const program = await apiServerProgram()
  if (program.kind === 'missing') throw new Error(program.how)
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'gatehouse-kube-')))
  const [port = 0] = await freePorts(1)
  const args = argumentsOf(options, dir, port)
  const crds = options.crds ?? 'none'
  const first = crds === 'none' ? [] : ['-apply', definitions(crds)]
  const removed = async (): Promise<void> => {
    if (options.dir === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
  let running = await start(program.command, [...args, ...first]).catch(async (cause: unknown) => {
    await removed()
    throw cause
  })
  const { server, token, kubeconfig } = running.ready
  const ca = await readFile(running.ready.ca, 'utf8')
  const client = kubeClient(server, ca, token)
  await settled(client)
  return {
    ...client,
    server,
    token,
    ca,
    kubeconfig,
    dir,
    pid: () => running.pid,
    readyMillis: () => running.ready.readyMs,
    install: (version) => install(client, version),
    stop: async () => {
      await client.close()
      await running.end('SIGTERM')
      await removed()
    },
    kill: () => running.end('SIGKILL'),
    restart: async () => {
      await running.end('SIGTERM')
      running = await start(program.command, args)
      await settled(client)
    },
  }
}

/** A `describe` for tests on a real API server: skipped, saying how to get one, or failed where CI=true. */
export async function describeOnKubernetes(title: string, body: () => void): Promise<void> {
  const program = await apiServerProgram()
  if (program.kind === 'found') describe(`${title} (kube-apiserver ${program.version})`, body)
  else if (process.env['CI'] === 'true') it(title, () => expect.fail(program.how))
  else describe.skip(`${title} (skipped: ${program.how})`, body)
}

function argumentsOf({ controllers = true, flags = [] }: ApiServerOptions, dir: string, port: number): string[] {
  const more = flags.map((flag) => `-apiserver-arg=${flag}`)
  // Its standard input is ours: it ends with us, however we end.
  return ['-stdin', '-dir', dir, '-port', String(port), `-controllers=${controllers}`, ...more]
}

async function start(command: string, args: readonly string[]): Promise<Process> {
  const child = spawn(command, [...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => (output = (output + chunk.toString('utf8')).slice(-8000)))
  child.stdin.on('error', () => undefined)
  const ended = new Promise<void>((done) => child.on('exit', () => done()).on('error', () => done()))
  const first = new Promise<string>((done) => createInterface({ input: child.stdout }).once('line', done))
  const failed = ended.then(() => Promise.reject(new Error(`the API server ended before it was ready:\n${output}`)))
  failed.catch(() => undefined)
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const force = setTimeout(() => child.kill('SIGKILL'), 8000)
    child.kill(signal)
    await ended
    clearTimeout(force)
  }
  try {
    const line = await within(120_000, Promise.race([first, failed]), () => `the API server is not ready:\n${output}`)
    return { pid: child.pid ?? 0, ready: JSON.parse(line) as Ready, end }
  } catch (cause) {
    await end('SIGKILL')
    throw cause
  }
}

/** The API server makes its own namespaces after it says that it is ready. */
async function settled(client: KubeClient): Promise<void> {
  const there = async (): Promise<boolean> => {
    // After a restart the first connection may be one that died with the old process.
    const answer = await client.request('GET', '/api/v1/namespaces/default').catch(() => undefined)
    return answer?.status === 200
  }
  await until(there, () => 'the API server has no namespace "default"', 30_000)
}

interface Definition {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

async function install(client: KubeClient, version: GatewayApiVersion): Promise<void> {
  const folder = definitions(version)
  const names = (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort()
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  const applied = await client.apply(...texts)
  for (const object of applied.filter(({ kind }) => kind === 'CustomResourceDefinition')) {
    const path = await client.path(object)
    const established = async (): Promise<boolean> => {
      const { body } = await client.request<Definition>('GET', path)
      return body.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') ?? false
    }
    await until(established, () => `${object.metadata.name} is not established`, 30_000)
  }
}

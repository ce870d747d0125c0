import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { DecisionRecord } from '../../src/engine/engine.ts'
import { startGatehouse } from '../../src/gatehouse.ts'
import type { Running, State } from '../../src/gatehouse.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { Metrics } from '../../src/metrics.ts'
import type { Problem } from '../../src/model/result.ts'
import { createServices } from '../../src/services.ts'
import type { OwnedServices } from '../../src/services.ts'
import { defaultSettings } from '../../src/settings.ts'
import type { Settings } from '../../src/settings.ts'
import { createFileSource } from '../../src/source/files.ts'
import { codec } from './codec.ts'

/** A whole Gatehouse in this process: real listeners on free ports, real files, every decision kept. */
export interface TestGatehouse {
  readonly running: Running
  readonly directory: string
  readonly grpcPort: number
  readonly httpPort: number
  readonly matchingPort: number
  readonly adminPort: number
  readonly records: DecisionRecord[]
  readonly metrics: Metrics
  readonly state: () => State | undefined
  readonly problems: () => readonly Problem[]
  /** Writes files into its directory; they are picked up as any edit is. */
  readonly write: (files: Readonly<Record<string, string>>) => Promise<void>
  readonly close: () => Promise<void>
}

export interface TestOptions {
  /** Files to write into a directory of its own, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Or a directory that exists. */
  readonly directory?: string
  readonly settings?: Partial<Settings>
  readonly services?: OwnedServices
}

const anyPort = { kind: 'on', host: '127.0.0.1', port: 0 } as const

export async function gatehouse(options: TestOptions = {}): Promise<TestGatehouse> {
  const own = options.directory === undefined ? await mkdtemp(join(tmpdir(), 'gatehouse-')) : undefined
  const directory = own ?? options.directory ?? ''
  const write: TestGatehouse['write'] = async (files) => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, name)), { recursive: true })
      await writeFile(join(directory, name), content)
    }
  }
  await write(options.files ?? {})
  const metrics = createMetrics()
  const services = options.services ?? createServices({ telemetry: metrics.telemetry })
  const records: DecisionRecord[] = []
  let state: State | undefined
  const running = await startGatehouse({
    settings: {
      ...defaultSettings(),
      grpcListen: anyPort,
      httpListen: anyPort,
      matchingListen: anyPort,
      adminListen: anyPort,
      // Tests share two cores: a slow machine is not what they are about.
      grpcBudget: 5000,
      httpBudget: 5000,
      codec,
      ...options.settings,
    },
    source: createFileSource({ directory }),
    services,
    metrics,
    record: (record) => records.push(record),
    onState: (next) => (state = next),
    warn: () => undefined,
  })
  await running.loaded
  return {
    running,
    directory,
    grpcPort: running.addresses.grpc?.port ?? 0,
    httpPort: running.addresses.http?.port ?? 0,
    matchingPort: running.addresses.matching?.port ?? 0,
    adminPort: running.addresses.admin?.port ?? 0,
    records,
    metrics,
    state: () => state,
    problems: () => state?.problems ?? [],
    write,
    close: async () => {
      await running.stop({ wait: 0, grace: 200 })
      await services.close()
      if (own !== undefined) await rm(own, { recursive: true, force: true })
    },
  }
}

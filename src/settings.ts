import { InvalidArgumentError, Option } from 'commander'
import { suggestion } from './policy/parse.ts'
import { isListen, isObjectName, showListen } from './setting-values.ts'
import type { Listen, ObjectName } from './setting-values.ts'
import { settingsTable } from './settings-table.ts'
import type { Row } from './settings-table.ts'

type Table = typeof settingsTable
type Value<T> = T extends Row<infer V> ? V : never

/** All settings, parsed. */
export interface Settings {
  readonly grpcListen: Listen
  readonly httpListen: Listen
  readonly matchingListen: Listen
  readonly adminListen: Listen
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly tlsCa: string | undefined
  readonly tlsClientCa: string | undefined
  readonly trustedProxies: readonly string[]
  readonly grpcBudget: number
  readonly httpBudget: number
  readonly envoyGatewayMetadata: boolean
  readonly grpcReflection: boolean
  readonly codec: 'lean' | 'reference'
  readonly workers: number
  readonly drainWait: number
  readonly drainGrace: number
  readonly kubernetes: boolean
  readonly namespaces: readonly string[] | undefined
  readonly service: ObjectName
  readonly grantNamespaces: string | undefined
  readonly probe: boolean
  readonly decisionLog: 'all' | 'denied' | 'off'
  readonly allowHttpIssuers: boolean
  readonly blockPrivateIssuers: boolean
  readonly allowOldNode: boolean
}

/** `GATEHOUSE_GRPC_LISTEN` for `grpc-listen`. */
export const variable = (flag: string): string => `GATEHOUSE_${flag.replaceAll('-', '_').toUpperCase()}`

const rows = Object.entries(settingsTable) as readonly (readonly [keyof Table, Row<Value<Table[keyof Table]>>])[]

/** One setting as the command line and the README show it. */
export interface SettingOption {
  readonly option: Option
  readonly variable: string
}

/** The settings as commander options, in the table's order. The environment is read by `environmentArguments`, not by commander. */
export function settingOptions(): readonly SettingOption[] {
  return rows.map(([name, { flag, value, about, fallback, read }]) => {
    const option = new Option(value === undefined ? `--${flag}` : `--${flag} <${value}>`, about)
    option.attributeName = () => name
    if (value !== undefined) option.argParser(read)
    return { option: option.default(fallback, shown(fallback)), variable: variable(flag) }
  })
}

type Environment = Readonly<Record<string, string | undefined>>

/** The flags that the environment stands for; put before those of the command line, which then win. */
export function environmentArguments(environment: Environment): readonly string[] {
  return rows.flatMap(([, { flag, value, read }]) => {
    const said = environment[variable(flag)]
    if (said === undefined) return []
    if (value !== undefined) {
      readVariable(variable(flag), said, read)
      return [`--${flag}=${said}`]
    }
    if (!['true', 'false'].includes(said)) {
      throw new InvalidArgumentError(`the environment variable ${variable(flag)} is true or false, not "${said}"`)
    }
    return said === 'true' ? [`--${flag}`] : []
  })
}

/** Read once before commander does, which would blame a flag that nobody wrote. */
function readVariable(name: string, said: string, read: (text: string) => unknown): void {
  try {
    read(said)
  } catch (cause) {
    if (!(cause instanceof InvalidArgumentError)) throw cause
    throw new InvalidArgumentError(`the environment variable ${name} is '${said}', which is invalid. ${cause.message}`)
  }
}

/** The settings when nothing is said. */
export const defaultSettings = (): Settings =>
  Object.fromEntries(rows.map(([name, { fallback }]) => [name, fallback])) as unknown as Settings

/** Complaints about GATEHOUSE_ variables that name no setting: a misspelt one must not be a silent default. */
export function unknownVariables(environment: Environment): readonly string[] {
  const known = rows.map(([, { flag }]) => variable(flag))
  return Object.keys(environment)
    .filter((name) => name.startsWith('GATEHOUSE_') && !known.includes(name))
    .map((name) => {
      const hint = suggestion(name, known)
      return `the environment variable ${name} is not a setting${hint?.startsWith('did') === true ? `; ${hint}` : ''}`
    })
}

function shown(value: unknown): string | undefined {
  if (value === undefined || value === false) return undefined
  if (Array.isArray(value)) return value.join(',')
  if (isObjectName(value)) return `${value.namespace}/${value.name}`
  return isListen(value) ? showListen(value) : JSON.stringify(value).replaceAll('"', '')
}

import type { OurService } from '../../src/cluster/objects.ts'
import { worldOf } from '../../src/cluster/objects.ts'
import type { Change, Diagnosis } from '../../src/doctor/diagnosis.ts'
import { examine } from '../../src/doctor/examine.ts'
import type { RuleNeeds } from '../../src/doctor/rule-needs.ts'
import { showPath } from '../../src/model/result.ts'
import type { Manifest } from '../../src/policy/manifest.ts'

/* A small cluster that is wired as it should be, and ways to spoil it: a test names only what it is about. */

export const us: OurService = {
  namespace: 'gatehouse',
  name: 'gatehouse',
  ports: { grpc: 9001, http: 9002, matching: 9003 },
}

const group = 'gateway.networking.k8s.io'
type Fields = Readonly<Record<string, unknown>>

export interface Thing {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Fields & { readonly namespace: string; readonly name: string }
  readonly spec: Fields
  readonly status?: Fields
}

export const filter = (http: Fields = {}, some: Fields = {}): Fields => ({
  type: 'ExternalAuth',
  externalAuth: {
    protocol: 'HTTP',
    backendRef: { name: 'gatehouse', namespace: 'gatehouse', port: 9002 },
    http: { path: '/v1/check/shop/cart/pay/-', allowedResponseHeaders: ['x-user'], ...http },
    ...some,
  },
})

export const grpcFilter = (grpc: Fields = {}, port = 9001): Fields => ({
  type: 'ExternalAuth',
  externalAuth: {
    protocol: 'GRPC',
    backendRef: { name: 'gatehouse', namespace: 'gatehouse', port },
    grpc,
  },
})

export const rule = (some: Fields = {}): Fields => ({
  name: 'pay',
  matches: [{ path: { type: 'PathPrefix', value: '/cart' } }],
  filters: [filter()],
  backendRefs: [{ name: 'cart', port: 8080 }],
  ...some,
})

/** A rule that nobody checks. */
export const open = (value: string, some: Fields = {}): Fields =>
  rule({ name: 'open', matches: [{ path: { type: 'PathPrefix', value } }], filters: [], ...some })

interface RouteGiven {
  readonly name?: string
  readonly created?: string
  readonly spec?: Fields
  readonly status?: Fields
}

export const route = (rules: readonly Fields[], { name = 'cart', created, spec, status }: RouteGiven = {}): Thing => ({
  apiVersion: `${group}/v1`,
  kind: 'HTTPRoute',
  metadata: { namespace: 'shop', name, ...(created === undefined ? {} : { creationTimestamp: created }) },
  spec: { parentRefs: [{ name: 'edge', namespace: 'infra' }], hostnames: ['shop.example'], rules, ...spec },
  ...(status === undefined ? {} : { status }),
})

export const gatewayClass = (controllerName: string, status: Fields = {}): Thing => ({
  apiVersion: `${group}/v1`,
  kind: 'GatewayClass',
  metadata: { namespace: 'default', name: 'edge' },
  spec: { controllerName },
  status,
})

export const gateway = (spec: Fields = {}, name = 'edge'): Thing => ({
  apiVersion: `${group}/v1`,
  kind: 'Gateway',
  metadata: { namespace: 'infra', name },
  spec: { gatewayClassName: 'edge', listeners: [{ name: 'https', port: 443, protocol: 'HTTPS' }], ...spec },
})

export const grant = (spec: Fields = {}): Thing => ({
  apiVersion: `${group}/v1beta1`,
  kind: 'ReferenceGrant',
  metadata: { namespace: 'gatehouse', name: 'shop' },
  spec: {
    from: [{ group, kind: 'HTTPRoute', namespace: 'shop' }],
    to: [{ group: '', kind: 'Service', name: 'gatehouse' }],
    ...spec,
  },
})

export const service = (ports: readonly Fields[]): Thing => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace: 'gatehouse', name: 'gatehouse' },
  spec: { ports },
})

export const needs = (some: Partial<RuleNeeds> = {}): RuleNeeds => ({
  key: { namespace: 'shop', route: 'cart', rule: 'pay' },
  policy: 'shop/cart-pay',
  reads: ['authorization'],
  looksAt: [],
  looksAtOthers: false,
  scheme: false,
  injects: ['x-user'],
  removes: [],
  removesQuery: [],
  guest: false,
  clientCertificate: false,
  redirects: false,
  ...some,
})

const cilium = 'io.cilium/gateway-controller'

const wellWired: readonly Thing[] = [
  gatewayClass(cilium),
  gateway(),
  route([rule()]),
  grant(),
  service([
    { name: 'grpc', port: 9001, appProtocol: 'kubernetes.io/h2c' },
    { name: 'http', port: 9002 },
    { name: 'matching', port: 9003 },
  ]),
]

const idOf = ({ kind, metadata }: Thing): string => `${kind} ${metadata.namespace}/${metadata.name}`

export const manifest = (thing: Thing): Manifest => ({
  apiVersion: thing.apiVersion,
  kind: thing.kind,
  namespace: thing.metadata.namespace,
  name: thing.metadata.name,
  object: thing,
  line: () => undefined,
})

export interface Spoilt {
  /** Take the place of what is of the same kind and name, or come in addition. */
  readonly things?: readonly Thing[]
  /** Kinds that are not there. */
  readonly without?: readonly string[]
  readonly rules?: readonly RuleNeeds[]
  readonly directory?: boolean
  readonly budgets?: { readonly HTTP: number; readonly GRPC: number }
  /** Others are trusted where nothing is said; `unsaid` as in a check that was not told. */
  readonly trust?: 'loopback' | 'unsaid'
}

/** What there is after spoiling it. */
export function thingsOf({ things = [], without = [] }: Spoilt): readonly Thing[] {
  const all = new Map([...wellWired, ...things].map((thing) => [idOf(thing), thing]))
  return [...all.values()].filter(({ kind }) => !without.includes(kind))
}

export const examined = (spoilt: Spoilt, things = thingsOf(spoilt)): readonly Diagnosis[] =>
  examine({
    world: worldOf(things.map(manifest)),
    us: spoilt.directory === true ? undefined : us,
    rules: spoilt.rules ?? [needs()],
    ...(spoilt.trust === 'unsaid' ? {} : { trust: spoilt.trust ?? 'others' }),
    ...(spoilt.budgets === undefined ? {} : { budgets: spoilt.budgets }),
  })

/** `error wrong-port HTTPRoute shop/cart spec.rules[0]…`, shortened at the end. */
export const summary = ({ severity, code, object, path }: Diagnosis): string =>
  `${severity} ${code} ${object.kind} ${object.name}: ${showPath(path)}`

/** The things with a finding's fix made, as an operator would who pastes the YAML. */
export function mended(things: readonly Thing[], { fix, object }: Diagnosis): readonly Thing[] {
  if (fix === undefined || fix.kind === 'setting') return things
  const added = fix.kind === 'apply' ? (fix.objects as readonly Thing[]) : []
  return (fix.changes ?? []).reduce<readonly Thing[]>(
    (all, change) => applied(all, change, object),
    [...things, ...added],
  )
}

function applied(things: readonly Thing[], { object: other, path, value }: Change, object: Manifest): readonly Thing[] {
  const { kind, namespace, name } = other ?? object
  return things.map((thing) =>
    idOf(thing) === `${kind} ${namespace}/${name}` ? (put(thing, path, value) as Thing) : thing,
  )
}

function put(target: unknown, [step, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (step === undefined) return value
  if (typeof step === 'number') {
    const list = Array.isArray(target) ? [...(target as unknown[])] : []
    list[step] = put(list[step], rest, value)
    return list
  }
  const fields = (target ?? {}) as Fields
  return { ...fields, [step]: put(fields[step], rest, value) }
}

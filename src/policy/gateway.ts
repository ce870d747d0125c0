import { z } from 'zod'
import { failed, ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { gatewayGroup } from './document.ts'
import type { Manifest } from './manifest.ts'
import { parse } from './parse.ts'

/* What requests can come in through: Gateways, and the ListenerSets that add listeners to them (GEP-1713). */

const listeners = z
  .array(
    z.looseObject({
      name: z.string(),
      hostname: z.string().default(''),
      port: z.number().int(),
      protocol: z.string(),
      allowedRoutes: z
        .looseObject({
          namespaces: z.looseObject({ from: z.string().default('Same'), selector: z.unknown().optional() }).optional(),
        })
        .optional(),
    }),
  )
  .default([])

const gateway = z.looseObject({
  spec: z.looseObject({
    defaultScope: z.string().optional(),
    listeners,
    allowedListeners: z
      .looseObject({ namespaces: z.looseObject({ from: z.string().default('None') }).optional() })
      .optional(),
  }),
})

const listenerSet = z.looseObject({
  spec: z.looseObject({
    parentRef: z.looseObject({
      group: z.string().default(gatewayGroup),
      kind: z.string().default('Gateway'),
      namespace: z.string().optional(),
      name: z.string(),
    }),
    listeners,
  }),
})

export interface Listener {
  readonly name: string
  /** Lower case; empty for any. */
  readonly hostname: string
  readonly port: number
  /** `allowedRoutes`: `All`, `Same`, `None` or `Selector` and the selector. */
  readonly routesFrom: string
}

/** A Gateway, reduced. */
export interface Gateway {
  readonly manifest: Manifest
  readonly listeners: readonly Listener[]
  /** `allowedListeners`: whose ListenerSets it takes; `None` where it does not say. */
  readonly takes: string
  /** `defaultScope: All`: routes may come to it without naming it (GEP-3793). */
  readonly byDefault: boolean
}

/** A ListenerSet, reduced. */
export interface ListenerSet {
  readonly manifest: Manifest
  readonly listeners: readonly Listener[]
  /** `namespace/name` of its Gateway; undefined for a parent of another kind. */
  readonly gateway: string | undefined
}

export function parseGateway(manifest: Manifest): Result<Gateway> {
  const read = parse(gateway, manifest.object)
  if (!read.ok) return failed(read.findings)
  const { spec } = read.value
  return ok({
    manifest,
    listeners: spec.listeners.map(reduced),
    takes: spec.allowedListeners?.namespaces?.from ?? 'None',
    byDefault: spec.defaultScope === 'All',
  })
}

/** True of a Gateway before and after an edit that changed nothing of this: its status counts the routes of each listener. */
export const sameGateway = (one: Gateway, other: Gateway): boolean =>
  one.takes === other.takes &&
  one.byDefault === other.byDefault &&
  JSON.stringify(one.listeners) === JSON.stringify(other.listeners)

export function parseListenerSet(manifest: Manifest): Result<ListenerSet> {
  const read = parse(listenerSet, manifest.object)
  if (!read.ok) return failed(read.findings)
  const { spec } = read.value
  const { group, kind, name, namespace = manifest.namespace } = spec.parentRef
  const gateway = group === gatewayGroup && kind === 'Gateway' ? `${namespace}/${name}` : undefined
  return ok({ manifest, listeners: spec.listeners.map(reduced), gateway })
}

const reduced = ({ name, hostname, port, allowedRoutes }: z.output<typeof listeners>[number]): Listener => {
  const { from, selector } = allowedRoutes?.namespaces ?? { from: 'Same' }
  return {
    name,
    hostname: hostname.toLowerCase(),
    port,
    routesFrom: from === 'Selector' ? `Selector ${JSON.stringify(selector)}` : from,
  }
}

/** Whether a listener takes routes of a namespace; whom a selector means, only the gateway knows. */
export function takesFrom({ routesFrom }: Listener, { manifest }: Gateway | ListenerSet, namespace: string): Taking {
  if (routesFrom.startsWith('Selector ')) return 'unknown'
  return routesFrom === 'All' || (routesFrom === 'Same' && manifest.namespace === namespace) ? 'yes' : 'no'
}

export type Taking = 'yes' | 'no' | 'unknown'

/** True where a Gateway serves the listeners of a set. What a selector says only the gateway knows: it is believed to agree. */
export function admitsSet({ manifest, takes }: Gateway, set: ListenerSet): boolean {
  if (takes === 'Same') return manifest.namespace === set.manifest.namespace
  return takes === 'All' || takes === 'Selector'
}

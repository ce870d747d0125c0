import { z } from 'zod'
import { memo, same } from '../model/memo.ts'
import { showRoute } from '../model/route.ts'
import { arenasOf } from './arenas.ts'
import type { AllHolders } from './around.ts'
import type { HttpRoute, OurService } from './gateway-api.ts'
import { hostMatches } from './hostname.ts'
import { showObject } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import type { Namespace } from './namespace.ts'
import { parentsOf } from './parents.ts'
import type { Holders } from './parents.ts'
import { acceptance, parentRef, showParent } from './route-status.ts'
import type { Site } from './rule-book.ts'
import type { Rule, Snapshot } from './snapshot.ts'

/*
 * What is there and cannot be read. It may be what kept requests out, so it never counts as absent: everything that it may
 * decide about is refused.
 */

/** What is lost: no good version of it is known. */
export interface Lost {
  /** What may be of any kind. */
  readonly unknown: readonly Manifest[]
  readonly routes: readonly Manifest[]
  /** Gateways and ListenerSets. */
  readonly parents: readonly Manifest[]
  /** Policies of which the targets cannot be read: they may be for any rule of their namespace. */
  readonly policies: readonly Manifest[]
}

export interface Doubts {
  /** The same sites, where nothing lost can have a say, and else refusing ones. */
  readonly settle: (sites: readonly Site[]) => readonly Site[]
  /** The refusing rule of a key that a lost route may have. */
  readonly refusal: Snapshot['rule']
  /** Refuses what matching gives to one rule and a lost route may serve, or one of these that has lost its parent. */
  readonly guard: (match: Snapshot['match'], routes: readonly (readonly HttpRoute[])[]) => Snapshot['match']
}

const none: Doubts = { settle: (sites) => sites, refusal: () => undefined, guard: (match) => match }

/** Tells what is in doubt for what is lost. As long as that and the Gateways are the same, so are the doubts. */
export function createDoubts(us: OurService | undefined): (lost: Lost, holders: AllHolders) => Doubts {
  let last: { readonly lost: Lost; readonly holders: AllHolders; readonly doubts: Doubts } | undefined
  return (lost, holders) => {
    if (last === undefined || last.holders !== holders || !sameLost(last.lost, lost))
      last = { lost, holders, doubts: doubtsOf(lost, holders, us) }
    return last.doubts
  }
}

const sameLost = (one: Lost, other: Lost): boolean =>
  same(one.unknown, other.unknown) &&
  same(one.routes, other.routes) &&
  same(one.parents, other.parents) &&
  same(one.policies, other.policies)

/** What is lost of some namespaces. */
export const lostOf = (namespaces: readonly Namespace[]): Lost => ({
  unknown: namespaces.flatMap((one) => one.unknown),
  routes: namespaces.flatMap(({ routes }) => routes.lost),
  parents: namespaces.flatMap(({ gateways, listenerSets }) => [...gateways.lost, ...listenerSets.lost]),
  policies: namespaces.flatMap(({ vague }) => vague),
})

function doubtsOf(lost: Lost, holders: AllHolders, us: OurService | undefined): Doubts {
  const routes = new Set(lost.routes.map(showObject))
  const parents = lostParents(lost.parents, holders)
  const vague = [...lost.unknown, ...lost.policies]
  if (lost.routes.length + lost.parents.length + vague.length === 0) return none
  const namespaces = new Set(vague.map(({ namespace }) => namespace))
  const orphan = (route: HttpRoute): boolean =>
    [...route.parents].some((parent) => parents.has(parent)) || (route.defaultGateways && lost.parents.length > 0)
  const doubtful = ({ site: { key, route } }: Site): boolean =>
    routes.has(`HTTPRoute ${key.namespace}/${key.route}`) ||
    touches(namespaces, key.namespace, route) ||
    (route !== undefined && orphan(route))
  const lostHosts = [
    ...lost.unknown.map(() => ''),
    ...lost.routes.flatMap((manifest) => hostsOf(manifest, holders, us)),
  ]
  const orphanHosts = memo((all: readonly HttpRoute[]) =>
    all.filter(orphan).flatMap(({ hostnames }) => (hostnames.length === 0 ? [''] : hostnames)),
  )
  return {
    settle: memo((sites) =>
      sites.map((site) => (site.rule.policy !== undefined && doubtful(site) ? refusing(site) : site)),
    ),
    refusal: (key) => {
      const known = routes.has(`HTTPRoute ${key.namespace}/${key.route}`)
      const open = lost.unknown.some(({ namespace }) => namespace === '' || namespace === key.namespace)
      return known || open ? unreadable(key) : undefined
    },
    guard: (match, all) => {
      const hosts = new Set([...lostHosts, ...all.flatMap(orphanHosts)])
      if (hosts.size === 0) return match
      return (request) => {
        const found = match(request)
        const open = found.kind === 'rule' && [...hosts].some((host) => hostMatches(host, request.host))
        return open ? { kind: 'refused', reason: 'broken-policy' } : found
      }
    },
  }
}

/** A policy can be for the rules of its own namespace, and through a Gateway of it for those of others. */
function touches(namespaces: ReadonlySet<string>, namespace: string, route: HttpRoute | undefined): boolean {
  if (namespaces.size === 0) return false
  if (namespaces.has('') || namespaces.has(namespace)) return true
  return [...(route?.parents ?? [])].some((parent) => namespaces.has(parent.replace(/^\S+ |\/.*$/g, '')))
}

/** `Gateway namespace/name` and `ListenerSet namespace/name` of which the listeners are not known, though they are there. */
function lostParents(lost: readonly Manifest[], { listenerSets }: AllHolders): ReadonlySet<string> {
  const names = new Set(lost.map(showObject))
  const sets = [...listenerSets.values()].filter(({ gateway }) => names.has(`Gateway ${gateway ?? ''}`))
  return new Set([...names, ...sets.map(({ manifest }) => showObject(manifest))])
}

const refusing = memo((site: Site): Site => ({
  ...site,
  rule: Object.freeze({ ...site.rule, policy: undefined, refusal: 'broken-policy' } satisfies Rule),
}))

const unreadable = (key: Rule['key']): Rule => ({
  key,
  id: showRoute(key),
  policy: undefined,
  refusal: 'broken-policy',
  owned: new Set(),
  hostnames: [],
  checkPath: undefined,
  copiesLength: false,
  contested: undefined,
  acceptedBy: undefined,
})

const hostname = z.string().regex(/^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/i)

const served = z.looseObject({
  spec: z.looseObject({
    hostnames: z.array(hostname).default([]),
    parentRefs: z.array(parentRef).default([]),
    useDefaultGateways: z.string().optional(),
  }),
})

/**
 * The hosts for which a lost route may compete. Anybody can write one into a cluster: there it competes where a gateway could
 * have taken it, as those that can be read do.
 */
function hostsOf(manifest: Manifest, holders: Holders, us: OurService | undefined): readonly string[] {
  const read = served.safeParse(manifest.object)
  if (!read.success) return ['']
  const { hostnames, parentRefs, useDefaultGateways } = read.data.spec
  const wanted = hostnames.map((name) => name.toLowerCase())
  if (us === undefined) return wanted.length === 0 ? [''] : wanted
  const route: HttpRoute = {
    manifest,
    created: undefined,
    hostnames: wanted,
    parentRefs,
    defaultGateways: useDefaultGateways === 'All',
    rules: [],
    ...acceptance(manifest),
    parents: new Set(parentRefs.map((ref) => showParent(ref, manifest))),
  }
  return [...arenasOf(route, parentsOf(route, holders), holders).keys()]
}

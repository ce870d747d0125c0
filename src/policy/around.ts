import { latest, same, steady } from '../model/memo.ts'
import type { PolicyCandidate } from './candidate.ts'
import type { Gateway, ListenerSet } from './gateway.ts'
import type { Namespace } from './namespace.ts'
import type { Holders } from './parents.ts'
import type { Policy } from './snapshot.ts'
import { named } from './topology.ts'
import type { Topology } from './topology.ts'

/** What routes of any namespace may have to do with. */
export interface Around extends Holders, Pick<Topology, 'claimsOn'> {
  /** The policy of a candidate of any namespace, where it could be compiled. */
  readonly policyOf: (candidate: PolicyCandidate) => Policy | undefined
}

/** The Gateways and sets of listeners of a world; one and the same object as long as these are the same. */
export interface AllHolders extends Holders {
  readonly listenerSets: ReadonlyMap<string, ListenerSet>
}

/** Puts together what routes can lead to. */
export function createHolders(): (namespaces: readonly Namespace[]) => AllHolders {
  const gateways = steady<Gateway>()
  const listenerSets = steady<ListenerSet>()
  const holders = latest((all: readonly Gateway[], sets: readonly ListenerSet[]): AllHolders => ({
    gateways: named(all),
    listenerSets: named(sets),
    defaults: all.filter(({ byDefault }) => byDefault),
  }))
  return (namespaces) =>
    holders(
      gateways(namespaces.flatMap((one) => one.gateways.usable)),
      listenerSets(namespaces.flatMap((one) => one.listenerSets.usable)),
    )
}

/** The surroundings of every namespace. A Gateway's policies are in the Gateway's own. */
export function aroundOf(namespaces: ReadonlyMap<string, Namespace>, holders: Holders): Around {
  return {
    ...holders,
    claimsOn: (gateway) =>
      namespaces.get(gateway.slice(0, gateway.indexOf('/')))?.claims.get(`Gateway ${gateway}`) ?? [],
    policyOf: (candidate) => namespaces.get(candidate.manifest.namespace)?.policyOf(candidate),
  }
}

/** The same surroundings, with a record of what was asked of them. */
export interface Looked {
  readonly around: Around
  /** True where the same questions find the same in these: whatever was made of the answers is then the same, too. */
  readonly holds: (around: Around) => boolean
}

type Question = (around: Around) => readonly unknown[]

export function lookingAround(around: Around): Looked {
  const asked = new Map<string, { readonly question: Question; readonly found: readonly unknown[] }>()
  const ask = (about: string, question: Question): void => {
    if (!asked.has(about)) asked.set(about, { question, found: question(around) })
  }
  ask('default Gateways', ({ defaults }) => defaults)
  return {
    around: {
      ...around,
      gateways: {
        get: (id) => {
          ask(`Gateway ${id}`, ({ gateways }) => [gateways.get(id)])
          return around.gateways.get(id)
        },
      },
      listenerSets: {
        get: (id) => {
          ask(`ListenerSet ${id}`, ({ listenerSets }) => [listenerSets.get(id)])
          return around.listenerSets.get(id)
        },
      },
      claimsOn: (id) => {
        ask(`policies for ${id}`, ({ claimsOn, policyOf }) => claimsOn(id).flatMap((one) => [one, policyOf(one)]))
        return around.claimsOn(id)
      },
    },
    holds: (now) => [...asked.values()].every(({ question, found }) => same(question(now), found)),
  }
}

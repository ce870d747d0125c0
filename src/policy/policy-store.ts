import type { DataObject } from '../authn/method.ts'
import type { Services } from '../authn/services.ts'
import { failed } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import type { PolicyCandidate } from './candidate.ts'
import { compilePolicy } from './compile-policy.ts'
import type { DataObjects } from './data-objects.ts'
import { furtherFaults } from './further-faults.ts'
import { sharedHold } from './hold.ts'
import type { Hold } from './hold.ts'
import { stillInForce } from './last-good.ts'
import { same } from '../model/memo.ts'
import type { Policy } from './snapshot.ts'

/** One compiled policy with what it was made from and what it keeps running. */
export interface CompiledPolicy {
  readonly candidate: PolicyCandidate
  readonly result: Result<Policy>
  /** Warnings and notes, and faults of a document in whose place an older one is in force. */
  readonly advice: readonly Finding[]
  /** Held by each snapshot that uses it; what it keeps running ends with the last. */
  readonly hold: Hold
}

interface Kept extends CompiledPolicy {
  /** Looks up again what was looked up when it was compiled. */
  readonly dependencies: (data: DataObjects) => readonly unknown[]
  readonly found: readonly unknown[]
}

/** Compiles policies, and gives the one made before where neither it nor anything that it refers to has changed. */
export interface PolicyStore {
  readonly compile: (candidates: readonly PolicyCandidate[], data: DataObjects) => readonly CompiledPolicy[]
}

export function createPolicyStore(services: Services): PolicyStore {
  // Two policies of one name are two candidates.
  let kept = new Map<PolicyCandidate, Kept>()
  return {
    compile: (candidates, data) => {
      const next = new Map<PolicyCandidate, Kept>()
      for (const candidate of candidates) {
        const before = kept.get(candidate)
        const unchanged = before !== undefined && same(before.dependencies(data), before.found)
        next.set(candidate, unchanged ? before : compile(candidate, data, services))
      }
      kept = next
      return [...next.values()]
    },
  }
}

function compile(candidate: PolicyCandidate, data: DataObjects, services: Services): Kept {
  const { tracked, dependencies } = track(data)
  const releases: (() => void)[] = []
  const advice: Finding[] = []
  const further =
    candidate.valid || candidate.manifest.broken ? [] : furtherFaults(candidate, { services, data: tracked })
  if (candidate.spec !== undefined) advice.push(...further.map(stillInForce))
  const result =
    candidate.spec === undefined
      ? failed(further)
      : compilePolicy(candidate, candidate.spec, {
          services,
          data: tracked,
          onRelease: (release) => releases.push(release),
          advise: (findings) => advice.push(...findings),
        })
  const hold = sharedHold(() => () => {
    for (const release of releases.splice(0)) release()
  })
  return { candidate, result, advice, hold, dependencies, found: dependencies(data) }
}

type LookUp = (data: DataObjects) => readonly (DataObject | undefined)[]

/** The same objects, with a record of which were asked for. */
function track(data: DataObjects): { tracked: DataObjects; dependencies: (data: DataObjects) => readonly unknown[] } {
  const lookUps: LookUp[] = []
  const tracked: DataObjects = {
    get: (kind, namespace, name) => {
      lookUps.push((now) => [now.get(kind, namespace, name)])
      return data.get(kind, namespace, name)
    },
    read: (namespace, ref, defaultKey) => {
      lookUps.push((now) => [now.get(ref.kind ?? 'Secret', namespace, ref.name)])
      return data.read(namespace, ref, defaultKey)
    },
    select: (namespace, labels) => {
      lookUps.push((now) => now.select(namespace, labels))
      return data.select(namespace, labels)
    },
  }
  return { tracked, dependencies: (now) => lookUps.flatMap((lookUp) => lookUp(now)) }
}

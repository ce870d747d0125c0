import type { Manifest } from '../policy/manifest.ts'
import { apiVersion } from '../policy/document.ts'
import type { Ancestor, EventDraft } from './desired.ts'
import { readMetadata } from './metadata.ts'
import { showRef } from './parents.ts'
import type { WrittenAncestor } from './written-ancestors.ts'

/** Events for conditions whose status or reason became another one; a new message alone is none. */
export function policyEvents(
  policy: Manifest,
  ancestors: readonly Ancestor[],
  written: readonly WrittenAncestor[],
): readonly EventDraft[] {
  const before = new Map(
    written.flatMap(({ ancestorRef, conditions }) =>
      conditions.map(({ type, status, reason }) => [`${where(ancestorRef)} ${type}`, `${status} ${reason}`] as const),
    ),
  )
  const { namespace, name } = policy
  const regarding = { apiVersion, kind: 'AuthPolicy', namespace, name, uid: readMetadata(policy.object).uid }
  return ancestors.flatMap(({ ancestorRef, conditions }) => {
    const news = conditions.filter(({ type, status, reason }) => {
      const old = before.get(`${where(ancestorRef)} ${type}`)
      if (old === `${status} ${reason}`) return false
      // That a new policy is fine as far as it goes is no news.
      return old !== undefined || status === 'False' || (status === 'True' && type !== 'ResolvedRefs')
    })
    // What makes it not accepted makes it not enforced: one event tells both.
    const told = news.filter((one, index) => news.findIndex(({ reason }) => reason === one.reason) === index)
    return told.map(({ type, status, reason, message }): EventDraft => {
      const at = message.includes(showRef(ancestorRef)) ? '' : `${showRef(ancestorRef)}: `
      const note = `${type} is ${status}. ${at}${message}`
      const fell = status === 'Unknown' && before.get(`${where(ancestorRef)} ${type}`)?.startsWith('True') === true
      return { regarding, type: status === 'False' || fell ? 'Warning' : 'Normal', reason, note }
    })
  })
}

const where = (ref: {
  readonly kind: string
  readonly namespace?: string | undefined
  readonly name: string
}): string => `${ref.kind} ${ref.namespace ?? ''}/${ref.name}`

import type { Finding } from '../model/result.ts'
import { showPath } from '../model/result.ts'
import type { Claimed, PolicyReport } from '../policy/report.ts'
import type { AncestorRef, ConditionType, Verdict } from './desired.ts'
import { enforced, overriddenSay } from './enforcement.ts'
import type { Grounds } from './proof.ts'
import { listed, plain, sentence } from './sentence.ts'

/** What a policy claims through one ancestor. */
export interface Share {
  readonly ref: AncestorRef
  readonly rules: readonly Claimed[]
  /** Where the ancestor is a target that is missing: why. */
  readonly absent: string | undefined
  /** Message of the `Enforced: True` that is written there for this generation of the policy. */
  readonly proved: string | undefined
}

export type Standing = Readonly<Record<ConditionType, Verdict>>

/** The three conditions of a policy at one ancestor (GEP-713). */
export function standing(report: PolicyReport, share: Share, grounds: Grounds): Standing {
  const accepted = acceptance(report, share)
  const resolved = resolution(report)
  return {
    Accepted: accepted,
    ResolvedRefs: resolved,
    Enforced: enforcement(report, share, grounds, { accepted, resolved }),
  }
}

/** Something that the policy refers to is wrong, not the policy: told by the code, or by the key that it stands under. */
const isReference = ({ code, path }: Finding): boolean =>
  code === 'missing-reference' ||
  code === 'bad-reference' ||
  path.some(
    (step) => typeof step === 'string' && /^ref$|Ref$/.test(step) && code !== 'unknown-key' && code !== 'bad-value',
  )

const told = (findings: readonly Finding[]): string => {
  const shown = findings.slice(0, 5).map(({ path, say, mend }) => {
    const text = `${say}${mend === undefined ? '' : `; ${mend}`}`
    return path.length === 0 ? sentence(text) : `${showPath(path)}: ${plain(text)}`
  })
  return findings.length > 5 ? `${shown.join(' ')} And ${findings.length - 5} more.` : shown.join(' ')
}

/** Faults of the policy as such. */
const faultsOf = ({ findings }: PolicyReport): readonly Finding[] =>
  findings.filter((one) => one.code !== 'unknown-target' && one.code !== 'conflict' && !isReference(one))

function acceptance(report: PolicyReport, { rules, absent }: Share): Verdict {
  const faults = faultsOf(report)
  if (faults.length > 0) return no('Invalid', told(faults))
  if (absent !== undefined) return no('TargetNotFound', absent)
  const beaten = rules.filter((rule) => rule.standing === 'conflicted')
  if (beaten.length > 0 && beaten.length === rules.length) {
    return no('Conflicted', `${overriddenSay(beaten)} It targets the same, and is older or first by name.`)
  }
  const partly = beaten.length === 0 ? '' : ` ${overriddenSay(beaten)}`
  return { status: 'True', reason: 'Accepted', message: `The policy is valid.${partly}` }
}

function resolution(report: PolicyReport): Verdict {
  const references = report.findings.filter(isReference)
  if (references.length > 0) {
    const missing = references.every(({ code }) => code === 'missing-reference')
    return no(missing ? 'RefNotFound' : 'InvalidRef', told(references))
  }
  return faultsOf(report).length > 0
    ? { status: 'Unknown', reason: 'Invalid', message: 'What it refers to is looked at once the policy is valid.' }
    : { status: 'True', reason: 'ResolvedRefs', message: 'Everything that it refers to was found.' }
}

function enforcement(
  { verdict, manifest, rules: all }: PolicyReport,
  share: Share,
  grounds: Grounds,
  { accepted, resolved }: { readonly accepted: Verdict; readonly resolved: Verdict },
): Verdict {
  const { rules } = share
  const inForce = rules.filter((rule) => rule.standing === 'in-force')
  const lost = rules.filter((rule) => rule.standing !== 'in-force')
  if (verdict !== 'usable' && inForce.length > 0) {
    return accepted.status === 'False'
      ? no(
          accepted.reason,
          'Until it is mended, its last valid version is in force; without one its rules refuse every request.',
        )
      : no(resolved.reason, 'Until this is mended, its rules refuse every request.')
  }
  if (accepted.status === 'False') return no(accepted.reason, accepted.message)
  if (inForce.length === 0 && lost.length > 0) return no('Overridden', overriddenSay(lost))
  if (inForce.length === 0) {
    const none = all.length === 0 ? 'No rule of any route' : 'No rule reached through here'
    return { status: 'Unknown', reason: 'NoRules', message: `${none} falls under it.` }
  }
  if (isShadow(manifest.object)) {
    return no(
      'Shadow',
      `mode: Shadow lets every request pass; refusals are only logged at ${listed(inForce.map(({ key }) => `${key.route}/${key.rule}`))}.`,
    )
  }
  return enforced({ at: share.ref, inForce, lost, proved: share.proved }, grounds)
}

function isShadow(object: unknown): boolean {
  const { spec } = object as { readonly spec?: { readonly mode?: unknown } }
  return spec?.mode === 'Shadow'
}

const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message })

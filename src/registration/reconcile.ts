import type { OurService, World } from '../cluster/objects.ts'
import { memo } from '../model/memo.ts'
import type { PolicyReport } from '../policy/report.ts'
import { backendTls } from './backend-tls.ts'
import type { BackendTlsOptions } from './backend-tls.ts'
import { claimedRules } from './claimed-rules.ts'
import { contains } from './contains.ts'
import type { Desired, ObjectName, Owner, OwnObject, PolicyStatus, Removal, WantedObject } from './desired.ts'
import type { Evidence, RuleForm } from './evidence.ts'
import type { LabelSelector } from './label-selector.ts'
import { readMetadata } from './metadata.ts'
import { objectionsOf } from './objections.ts'
import type { FindingsByRoute } from './objections.ts'
import { isOurs, serviceOwner } from './own-object.ts'
import { showRef } from './parents.ts'
import type { Reached } from './proof.ts'
import { createStatuses } from './statuses.ts'
import { surveyOf } from './survey.ts'
import { referenceGrants } from './reference-grants.ts'

/** What the operator decided, and what the server can hold. */
export interface RegistrationOptions {
  /** Owner of our objects; our Service where absent. */
  readonly owner?: Owner
  /** Namespaces that get a ReferenceGrant; none where absent. */
  readonly admits?: LabelSelector
  /** Where we serve TLS. */
  readonly tls?: Omit<BackendTlsOptions, 'apiVersion'>
  /** API versions that the server has; a kind that it does not have is not written. */
  readonly versions: { readonly ReferenceGrant?: string; readonly BackendTLSPolicy?: string }
}

/** Everything that was listed and compiled: nothing else decides what is to be so. */
export interface Observed {
  readonly world: World
  readonly reports: readonly PolicyReport[]
  /** What the doctor found of HTTPRoutes. */
  readonly findings?: FindingsByRoute
  /** Kinds whose objects could not be listed: nothing is removed for the lack of them. */
  readonly unlisted?: ReadonlySet<string>
}

export interface ReconcileInput extends Observed {
  readonly us: OurService
  readonly options: RegistrationOptions
  readonly evidence: Evidence
  readonly now: number
}

/** From what was listed to what should exist. Pure: the same input gives the same answer, and nothing given is changed. */
export function reconcile(input: ReconcileInput): Desired {
  const steps = createReconciler()(input)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** The same for one input after another, in steps; what would be made of the same again is not. */
export type Reconciler = (input: ReconcileInput) => Generator<undefined, Desired>

export function createReconciler(): Reconciler {
  const statusOf = createStatuses()
  return function* (input) {
    const { asking, reached } = surveyOf(input.world, input.us)
    yield
    const { evidence, now, findings = new Map(), unlisted } = input
    const grounds = { route: reached, evidence, now, objections: objectionsOf(findings, unlisted) }
    const ground = { grounds, findings, blind: unlisted?.has('ReferenceGrant') === true }
    const rest = registration(input, asking)
    const statuses: PolicyStatus[] = []
    for (const [index, report] of input.reports.entries()) {
      if (index % 20 === 0) yield
      if (!readMetadata(report.manifest.object).deleted) statuses.push(statusOf(report, ground))
    }
    return { ...rest, statuses }
  }
}

/** For each claimed rule what decides whether checks are made for it: evidence of another form does not count. */
export function ruleForms({ world, reports }: Observed, us: OurService): ReadonlyMap<string, RuleForm> {
  const { reached } = surveyOf(world, us)
  return new Map(
    reports.flatMap(claimedRules).map(({ rule, route, name }) => {
      const found = reached(route)
      return [rule, found === undefined ? unknownForm : formsOf(found)(name)] as const
    }),
  )
}

const formsOf = memo(({ route, parents }: Reached): ((rule: string) => RuleForm) => {
  const { uid, generation } = route.route.object.metadata
  const accepting = parents.filter(({ accepted }) => accepted.status === 'True').map(({ ref }) => showRef(ref))
  const form = [uid, generation, ...accepting].join(' ')
  const [byFilter, byOther] = [{ form, by: 'filter' } as const, { form, by: 'other' } as const]
  return (rule) => (route.carries(rule) === 'all' ? byFilter : byOther)
})

const unknownForm: RuleForm = { form: ' 0', by: 'other' }

function registration(
  { world, us, options, unlisted = new Set() }: ReconcileInput,
  asking: ReadonlySet<string>,
): Pick<Desired, 'objects' | 'removals' | 'foreign'> {
  const owner = options.owner ?? serviceOwner(world, us)
  if (owner === undefined) return { objects: [], removals: [], foreign: [] }
  const { ReferenceGrant: grants, BackendTLSPolicy: tls } = options.versions
  const wanted = [
    ...(options.admits === undefined || grants === undefined
      ? []
      : referenceGrants(world, us, owner, asking, { apiVersion: grants, admits: options.admits })),
    ...(options.tls === undefined || tls === undefined
      ? []
      : backendTls(world, us, owner, { ...options.tls, apiVersion: tls })),
  ]
  const standing = standingObjects(world, us)
  const foreign = wanted.filter((one) => {
    const there = standing.get(nameOf(one))
    return there !== undefined && !isOurs(there.object, owner)
  })
  const blind = ['HTTPRoute', 'Namespace', 'ReferenceGrant'].some((kind) => unlisted.has(kind))
  return {
    objects: wanted
      .filter((one) => !foreign.includes(one))
      .map((object) => ({ object, state: stateOf(object, standing.get(nameOf(object))?.object) })),
    removals: blind ? [] : removals(standing, new Set(wanted.map(nameOf)), owner),
    foreign: foreign.map(coordinates),
  }
}

const stateOf = (wanted: OwnObject, there: unknown): WantedObject['state'] =>
  there === undefined ? 'unseen' : contains(there, wanted) ? 'unchanged' : 'changed'

const coordinates = ({ apiVersion, kind, metadata: { namespace, name } }: OwnObject): ObjectName => ({
  apiVersion,
  kind,
  namespace,
  name,
})

// An object is the same in every version of its kind.
const nameOf = ({ kind, metadata: { name } }: OwnObject): string => `${kind} ${name}`

type Standing = ReadonlyMap<string, ObjectName & { readonly object: unknown }>

const made: ReadonlySet<string> = new Set(['ReferenceGrant', 'BackendTLSPolicy', 'ConfigMap'])

/** Objects in our namespace of the kinds that we make. */
function standingObjects({ manifests }: World, us: OurService): Standing {
  return new Map(
    manifests
      .filter(({ kind, namespace }) => namespace === us.namespace && made.has(kind))
      .map((manifest) => [`${manifest.kind} ${manifest.name}`, manifest]),
  )
}

/** What we made and do not want any more; what already goes is left to go. */
function removals(standing: Standing, wanted: ReadonlySet<string>, owner: Owner): readonly Removal[] {
  return [...standing].flatMap(([key, { apiVersion, kind, namespace, name, object }]) => {
    const { uid, deleted } = readMetadata(object)
    return wanted.has(key) || deleted || !isOurs(object, owner) ? [] : [{ apiVersion, kind, namespace, name, uid }]
  })
}

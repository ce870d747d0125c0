import { z } from 'zod'
import { isFields } from '../model/fields.ts'
import { ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import { authPolicy } from './document.ts'
import type { AuthPolicySpec } from './document.ts'
import { timestamp } from './gateway-api.ts'
import type { Manifest } from './manifest.ts'
import { parse } from './parse.ts'
import { sharedSpec } from './shared-spec.ts'

/** A target as far as it can be read, even in a policy that is otherwise broken. */
export interface TargetRef {
  readonly kind: 'HTTPRoute' | 'Gateway'
  readonly name: string
  readonly sectionName: string | undefined
}

/**
 * An AuthPolicy that claims its targets, usable or not: a broken policy keeps what it is for, so that nothing less
 * specific can take its place and let requests through.
 */
export interface PolicyCandidate {
  /** `namespace/name` */
  readonly id: string
  readonly manifest: Manifest
  readonly created: number | undefined
  readonly strategy: 'Defaults' | 'Overrides'
  readonly targets: readonly TargetRef[]
  /** True where the targets cannot be read: it then claims its whole namespace, more than a Gateway's policy does. */
  readonly claimsNamespace: boolean
  readonly spec: AuthPolicySpec | undefined
  /** False where the document breaks the schema: `spec` is then an older one, if any. */
  readonly valid: boolean
}

const lenient = z.looseObject({
  spec: z.looseObject({
    targetRefs: z.array(
      z.looseObject({ kind: z.enum(['HTTPRoute', 'Gateway']), name: z.string(), sectionName: z.string().optional() }),
    ),
    strategy: z.enum(['Defaults', 'Overrides']).catch('Defaults'),
  }),
})

/** Reads an AuthPolicy manifest: the validated spec, or its complaints. */
export function parseAuthPolicy(manifest: Manifest): Result<AuthPolicySpec> {
  const spec = sharedSpec(manifest.object)
  if (spec !== undefined) return ok(spec)
  const read = parse(authPolicy, manifest.object)
  return read.ok ? { ok: true, value: read.value.spec } : read
}

function legible(object: unknown) {
  const read = lenient.safeParse(object)
  return read.success ? read.data.spec : undefined
}

/** Files have no such time, and for what is absent a schema would write out a complaint a thousand times. */
function createdOf(object: unknown): number | undefined {
  const metadata = isFields(object) ? object['metadata'] : undefined
  const text = isFields(metadata) ? metadata['creationTimestamp'] : undefined
  return typeof text === 'string' ? timestamp(text) : undefined
}

/** What the policy claims; `spec` is undefined where it cannot be used, `valid` says whether the manifest's own document can. */
export function candidate(manifest: Manifest, spec: AuthPolicySpec | undefined, valid: boolean): PolicyCandidate {
  const known = spec ?? legible(manifest.object)
  return {
    id: `${manifest.namespace}/${manifest.name}`,
    manifest,
    created: createdOf(manifest.object),
    strategy: known?.strategy ?? 'Defaults',
    targets: known?.targetRefs.map(({ kind, name, sectionName }) => ({ kind, name, sectionName })) ?? [],
    claimsNamespace: known === undefined,
    spec,
    valid,
  }
}

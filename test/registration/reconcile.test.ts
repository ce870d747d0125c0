import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { worldOf } from '../../src/cluster/objects.ts'
import { createCompiler } from '../../src/policy/compile.ts'
import type { Ancestor, Desired } from '../../src/registration/desired.ts'
import { createEvidence } from '../../src/registration/evidence.ts'
import type { ProbeOutcome } from '../../src/registration/evidence.ts'
import { parseLabelSelector } from '../../src/registration/label-selector.ts'
import { showRef } from '../../src/registration/parents.ts'
import { reconcile, ruleForms } from '../../src/registration/reconcile.ts'
import type { RuleFinding } from '../../src/registration/objections.ts'
import type { RegistrationOptions } from '../../src/registration/reconcile.ts'
import type { Witness } from '../../src/registration/witness.ts'
import { offlineServices } from '../../src/services.ts'
import { readManifests } from '../support/manifests.ts'

/*
 * Each world is a file of manifests under a document that says what was seen of it; what is made of it lies beside it.
 * UPDATE_GOLDEN=1 writes the latter anew, to be read in review.
 */

const golden = resolve(import.meta.dirname, '../golden')
const worlds = readdirSync(golden).flatMap((name) => (name.endsWith('.in.yaml') ? [name.slice(0, -8)] : []))

const services = offlineServices()
afterAll(() => services.close())

const us = { namespace: 'gatehouse', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
const now = Date.parse('2026-11-24T12:00:00Z')

/** What a world's first document may say. */
interface Head {
  /** Rules, or rules by who sent the checks. */
  readonly seen?: readonly string[] | Readonly<Partial<Record<Witness, readonly string[]>>>
  readonly probes?: readonly { readonly gateway: string; readonly rule: string; readonly outcome: ProbeOutcome }[]
  readonly findings?: readonly RuleFinding[]
  readonly unlisted?: readonly string[]
  readonly options?: Omit<RegistrationOptions, 'admits'> & { readonly admits?: string }
}

const byRoute = (findings: readonly RuleFinding[]) =>
  new Map(
    [...Map.groupBy(findings, ({ key }) => key?.namespace ?? '')].map(([namespace, some]) => [
      namespace,
      Map.groupBy(some, ({ key }) => key?.route ?? ''),
    ]),
  )

function desired(text: string): Desired {
  const split = text.indexOf('\n---\n')
  const { seen = [], probes = [], findings = [], unlisted = [], options } = parse(text.slice(0, split)) as Head
  const manifests = readManifests(text.slice(split + 1))
  const observed = {
    world: worldOf(manifests),
    reports: createCompiler(services, us)(manifests).reports(),
    findings: byRoute(findings),
    unlisted: new Set(unlisted),
  }
  const evidence = createEvidence(now)
  const sent = Object.entries(Array.isArray(seen) ? { somebody: seen as readonly string[] } : seen)
  for (const [by, rules] of sent) for (const rule of rules) evidence.seen(rule, now, by as Witness)
  for (const { gateway, rule, outcome } of probes) evidence.probed(gateway, rule, outcome, now)
  evidence.settle(ruleForms(observed, us), now)
  const { admits, ...rest } = options ?? { versions: {} }
  const selector = parseLabelSelector(admits ?? '*')
  if (!selector.ok) throw new Error('bad selector')
  const all = { ...rest, ...(admits === undefined ? {} : { admits: selector.value }) }
  return reconcile({ ...observed, us, options: all, evidence, now })
}

/** As short as it can be read in a review. */
function shown({ statuses, ...rest }: Desired): string {
  const lists = Object.fromEntries(Object.entries(rest).filter(([, list]) => list.length > 0))
  const seen = {
    ...lists,
    statuses: statuses.map(({ policy, state, ancestors }) => ({
      policy: `${policy.namespace}/${policy.name}`,
      state,
      ancestors: ancestors.map(ancestor),
    })),
    events: statuses
      .flatMap(({ events }) => events)
      .map(({ regarding, type, reason, note }) => `${type} ${reason} for ${regarding.name}: ${note}`),
  }
  return stringify(seen, { lineWidth: 0, singleQuote: true, aliasDuplicateObjects: false })
}

const ancestor = ({ ancestorRef, conditions }: Ancestor): object => ({
  at: showRef(ancestorRef),
  ...Object.fromEntries(
    conditions.map(({ type, status, reason, message, lastTransitionTime: since, observedGeneration }) => [
      type,
      `${status} ${reason} (generation ${observedGeneration}, since ${since}): ${message}`,
    ]),
  ),
})

describe('what is to be so in', () => {
  it.each(worlds)('%s', (name) => {
    const made = shown(desired(readFileSync(resolve(golden, `${name}.in.yaml`), 'utf8')))
    const file = resolve(golden, `${name}.out.yaml`)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, made)
    expect(made).toBe(readFileSync(file, 'utf8'))
  })

  it('every world that is told of, and none that is not', () => {
    const outs = readdirSync(golden).flatMap((name) => (name.endsWith('.out.yaml') ? [name.slice(0, -9)] : []))
    expect(outs.toSorted()).toEqual(worlds.toSorted())
    expect(worlds.length).toBeGreaterThanOrEqual(30)
    expect(existsSync(resolve(golden, 'enforced.out.yaml'))).toBe(true)
  })
})

describe('reconcile', () => {
  it.each(worlds)('changes nothing of what it is given, and gives the same again: %s', (name) => {
    const text = readFileSync(resolve(golden, `${name}.in.yaml`), 'utf8')
    expect(shown(desired(text))).toBe(shown(desired(text)))
  })

  it.each(worlds)('writes no status that the CRD would refuse: %s', (name) => {
    for (const { ancestors } of desired(readFileSync(resolve(golden, `${name}.in.yaml`), 'utf8')).statuses) {
      expect(ancestors.length).toBeGreaterThan(0)
      expect(ancestors.length).toBeLessThanOrEqual(16)
      for (const { conditions } of ancestors) {
        for (const { reason, message } of conditions) {
          expect(reason).toMatch(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/)
          expect(message.length).toBeLessThan(32_768)
        }
      }
    }
  })
})

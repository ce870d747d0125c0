import { z } from 'zod'
import type { Path } from '../model/result.ts'
import { diagnosis, edit, fixedBy, setting } from './diagnosis.ts'
import type { Diagnosis, Fix } from './diagnosis.ts'
import { mendFilter } from './mended-filter.ts'
import { controllersOf } from './scene.ts'
import type { HttpRouteRule, OurFilter, RuleSite, Scene } from './scene.ts'

const timeouts = z.looseObject({ timeouts: z.looseObject({ request: z.string() }) })

/** A gateway that stops waiting before Gatehouse gives up: what it does then is not for Gatehouse to say. */
export function waiting(site: RuleSite, { budgets, us }: Scene): readonly Diagnosis[] {
  const { filter, route, rule, index, key } = site
  if (filter === undefined) return []
  const protocol = filter.auth.protocol === 'GRPC' ? 'GRPC' : 'HTTP'
  const budget = budgets[protocol]
  const flag = `--${protocol.toLowerCase()}-budget`
  const told = (path: Path, say: string, mend: string, fix: Fix | undefined): Diagnosis =>
    diagnosis(route.manifest, { code: 'short-timeout', severity: 'warning', path, say, mend, ...fixedBy(fix) }, key)
  const impatient = controllersOf(site).flatMap(({ name, timeouts: { [protocol]: wait } }) => {
    const say = `${name} waits ${wait} ms for an answer over ${protocol}, and a check may take ${budget} ms`
    if (wait === undefined || wait > budget) return []
    // A quarter is left for the way there and back.
    const sooner = `${flag}=${Math.max(1, Math.floor(wait * 0.75))}`
    const mend = `let Gatehouse answer sooner: ${sooner}`
    return [told([...filter.path, 'externalAuth', 'protocol'], say, mend, setting(us, sooner))]
  })
  const request = requestTimeout(rule)
  if (request === undefined || request > budget) return impatient.slice(0, 1)
  const say = `the whole request may take ${request} ms, and its check alone ${budget} ms`
  const path = ['spec', 'rules', index, 'timeouts', 'request']
  const mend = `let Gatehouse answer sooner (${flag}), or give the backend its time after the check`
  const fix = edit(path, `${Math.min(request + budget, 99_999)}ms`)
  return [...impatient.slice(0, 1), told(path, say, mend, fix)]
}

function requestTimeout(rule: HttpRouteRule): number | undefined {
  if (rule['timeouts'] === undefined) return undefined
  const read = timeouts.safeParse(rule)
  return read.success ? milliseconds(read.data.timeouts.request) : undefined
}

const units: ReadonlyMap<string, number> = new Map([
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
])

/** A Gateway API duration (GEP-2257) in milliseconds; undefined for `0s`, which means none, and for what is not one. */
export function milliseconds(text: string): number | undefined {
  if (!/^(\d{1,5}(h|m|s|ms)){1,4}$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+)(ms|h|m|s)/g)]
  const sum = parts.reduce((total, [, digits, unit = '']) => total + Number(digits) * (units.get(unit) ?? 0), 0)
  return sum === 0 ? undefined : sum
}

/** Answers that this rule's gateway does not pass on, and request bodies that nobody reads. */
export function passage(site: RuleSite, scene: Scene): readonly Diagnosis[] {
  const { filter, route, key, needs } = site
  if (filter === undefined) return []
  const mute = needs?.redirects === true ? controllersOf(site).find((one) => !one.passesRedirects) : undefined
  const found: Diagnosis[] = []
  if (mute !== undefined) {
    const say = `policy ${needs?.policy} answers with a redirect, which ${mute.name} turns into a 500`
    const mend = 'write unauthenticated: {respond: Challenge} or Forbidden'
    const [namespace = '', name = ''] = needs?.policy.split('/') ?? []
    const change = { object: { kind: 'AuthPolicy', namespace, name }, path: ['spec', 'unauthenticated'] }
    const fix = { kind: 'edit', changes: [{ ...change, value: { respond: 'Challenge' } }] } as const
    const said = { code: 'answer-not-passed', severity: 'warning', path: filter.path, say, mend, fix } as const
    found.push(diagnosis(route.manifest, said, key))
  }
  return bodyForwarded(filter) ? [...found, forwarded(site, filter, scene)] : found
}

const bodyForwarded = ({ auth }: OurFilter): boolean => (auth.forwardBody?.maxSize ?? 0) > 0

function forwarded(site: RuleSite, filter: OurFilter, scene: Scene): Diagnosis {
  const path = [...filter.path, 'externalAuth', 'forwardBody']
  const say = 'Gatehouse reads no request body; forwarding it costs time, and a body over maxSize is refused'
  const fix = mendFilter(site, filter, scene)
  return diagnosis(
    site.route.manifest,
    { code: 'forwarded-body', severity: 'warning', path, say, mend: 'leave forwardBody out', fix },
    site.key,
  )
}

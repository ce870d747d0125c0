import { describe, expect, it } from 'vitest'
import type { ProblemCode, Severity } from '../../src/model/result.ts'
import type { RuleFinding } from '../../src/registration/objections.ts'
import { wiringEvents } from '../../src/registration/wiring-events.ts'
import type { KnownFaults, Telling } from '../../src/registration/wiring-events.ts'

const found = (code: ProblemCode, some: { kind?: string; name?: string; severity?: Severity; at?: number } = {}) => {
  const { kind = 'HTTPRoute', name = 'cart', severity = 'error', at = 0 } = some
  const object = { metadata: { namespace: 'shop', name, uid: `uid-${name}` } }
  const manifest = { apiVersion: 'gateway.networking.k8s.io/v1', kind, namespace: 'shop', name, object }
  return {
    code,
    severity,
    path: ['spec', 'rules', at],
    say: 'something is so',
    mend: 'make it otherwise',
    object: { ...manifest, line: () => undefined },
  } satisfies RuleFinding
}

const byRoute = (findings: readonly RuleFinding[]) =>
  new Map([['shop', Map.groupBy(findings, ({ object }) => object?.name ?? '')]])

type Look = readonly [findings: readonly RuleFinding[], telling: Omit<Telling, 'now'> & { readonly at: number }]

/** The reasons of the Events of each look. */
function told(...looks: readonly Look[]): readonly (readonly string[])[] {
  let known: KnownFaults = new Map()
  return looks.map(([findings, { at, ...telling }]) => {
    const { events, known: next } = wiringEvents(byRoute(findings), known, { ...telling, now: at })
    known = next
    return events.map(({ reason }) => reason)
  })
}

const writing = (at: number) => ({ at, telling: true })
const waiting = (at: number) => ({ at, telling: false })
const fault = found('missing-grant')

describe('Events for errors of the wiring', () => {
  it.each<readonly [string, readonly Look[], readonly (readonly string[])[]]>([
    [
      'come once, when the error has stayed for some seconds',
      [
        [[fault], writing(0)],
        [[fault], writing(5000)],
        [[fault], writing(6000)],
        [[fault], writing(90_000)],
      ],
      [[], ['MissingGrant'], [], []],
    ],
    [
      'do not come where it is mended at once',
      [
        [[fault], writing(0)],
        [[], writing(4000)],
        [[], writing(6000)],
      ],
      [[], [], []],
    ],
    [
      'come again when it comes again',
      [
        [[fault], writing(0)],
        [[fault], writing(5000)],
        [[], writing(6000)],
        [[fault], writing(7000)],
        [[fault], writing(12_000)],
      ],
      [[], ['MissingGrant'], [], [], ['MissingGrant']],
    ],
    [
      'are left to the replica that writes',
      [
        [[fault], waiting(0)],
        [[fault], waiting(5000)],
        [[fault], writing(90_000)],
      ],
      [[], [], []],
    ],
    [
      'come from the one that begins to write soon after',
      [
        [[fault], waiting(0)],
        [[fault], waiting(6000)],
        [[fault], writing(15_000)],
      ],
      [[], [], ['MissingGrant']],
    ],
    [
      'are for errors about HTTPRoutes',
      [
        [
          [found('unnamed-rule', { severity: 'note' }), found('insecure-frontend-validation', { kind: 'Gateway' })],
          writing(0),
        ],
        [
          [found('unnamed-rule', { severity: 'note' }), found('insecure-frontend-validation', { kind: 'Gateway' })],
          writing(9000),
        ],
      ],
      [[], []],
    ],
    [
      'do not tell of grants that nobody could list',
      [
        [[fault], { ...writing(0), unlisted: new Set(['ReferenceGrant']) }],
        [[fault], { ...writing(9000), unlisted: new Set(['ReferenceGrant']) }],
      ],
      [[], []],
    ],
  ])('%s', (_, looks, expected) => {
    expect(told(...looks)).toEqual(expected)
  })

  it('are few for a route, and few in all', () => {
    const many = Array.from({ length: 100 }, (_, route) =>
      Array.from({ length: 5 }, (_one, at) => found('foreign-path', { name: `route-${route}`, at })),
    ).flat()
    const { known, wait } = wiringEvents(byRoute(many), new Map(), { now: 0, telling: true })
    expect(wait).toBe(5000)
    const { events } = wiringEvents(byRoute(many), known, { now: 5000, telling: true })
    expect(events.length).toBe(50)
    expect(events.slice(0, 4)).toEqual(
      [0, 1, 2, 0].map((at, index) => ({
        regarding: {
          apiVersion: 'gateway.networking.k8s.io/v1',
          kind: 'HTTPRoute',
          namespace: 'shop',
          name: index === 3 ? 'route-1' : 'route-0',
          uid: index === 3 ? 'uid-route-1' : 'uid-route-0',
        },
        type: 'Warning',
        reason: 'ForeignPath',
        note: `spec.rules[${at}]: Something is so. Make it otherwise.${index === 2 ? ' gatehouse check lists 2 more.' : ''}`,
      })),
    )
  })
})

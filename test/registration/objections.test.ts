import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { worldOf } from '../../src/cluster/objects.ts'
import { examine } from '../../src/doctor/examine.ts'
import { problemCodes } from '../../src/model/result.ts'
import type { ProblemCode } from '../../src/model/result.ts'
import { bearingOf, bearings, objectionsOf } from '../../src/registration/objections.ts'
import type { RuleFinding } from '../../src/registration/objections.ts'
import { readManifests } from '../support/manifests.ts'

const key = { namespace: 'shop', route: 'cart', rule: 'pay' }
const rule = 'shop/cart/pay'
const edge = 'Gateway infra/edge'
const found = (code: ProblemCode, some: Partial<RuleFinding> = {}): RuleFinding => ({
  code,
  severity: 'error',
  path: [],
  say: code,
  key,
  ...some,
})
const codes = (findings: readonly RuleFinding[], unlisted?: ReadonlySet<string>, at = edge): readonly string[] =>
  objectionsOf(new Map([[key.namespace, new Map([[key.route, findings]])]]), unlisted)(rule, at).map(({ code }) => code)

/** What the doctor says as a warning or a note only, or of an object that is no rule. */
const never: ReadonlySet<string> = new Set<ProblemCode>([
  'answer-not-passed',
  'computed-request-header',
  'filter-not-supported',
  'forwarded-body',
  'header-not-removed',
  'insecure-frontend-validation',
  'matched-injected-header',
  'matched-removal',
  'missing-app-protocol',
  'missing-frontend-validation',
  'overlapping-listeners',
  'overwritten-header',
  'query-not-removed',
  'repeated-filter',
  'route-not-accepted',
  'short-timeout',
  'unnamed-rule',
  'unprotectable-route',
])

describe('what an error of the doctor means for Enforced', () => {
  it('is sorted for every one that it can make about a rule, with a reason', () => {
    const folder = resolve(import.meta.dirname, '../../src/doctor')
    const text = readdirSync(folder)
      .map((name) => readFileSync(resolve(folder, name), 'utf8'))
      .join('\n')
    const made = Object.keys(problemCodes).filter((code) => text.includes(`'${code}'`))
    expect(made.length).toBeGreaterThan(25)
    expect(made.filter((code) => !never.has(code)).toSorted()).toEqual([...bearings.keys()].toSorted())
    for (const [, why] of bearings.values()) expect(why).toMatch(/\w/)
  })

  it('is the worst where nobody sorted it', () => expect(bearingOf({ code: 'bad-value' })).toBe('open'))

  it('counts errors of the rule only, those that matter most first', () => {
    const other = { ...key, rule: 'read' }
    const all = [
      found('empty-response-headers'),
      found('missing-grant'),
      found('shadowed-rule'),
      found('wrong-port', { severity: 'warning' }),
      found('wrong-port', { key: other }),
    ]
    expect(codes(all)).toEqual(['shadowed-rule', 'missing-grant', 'empty-response-headers'])
  })

  it('does not believe that a grant is missing where grants cannot be listed', () => {
    expect(codes([found('missing-grant')], new Set(['ReferenceGrant']))).toEqual([])
    expect(codes([found('missing-grant')], new Set(['HTTPRoute']))).toEqual(['missing-grant'])
  })

  it('is kept to the gateways that it is about', () => {
    const at = (gateway: string, controller: string): string => `
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: ${gateway} }
spec: { controllerName: ${controller} }
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { namespace: infra, name: ${gateway} }
spec: { gatewayClassName: ${gateway}, listeners: [{ name: web, port: 80, protocol: HTTP }] }`
    const route = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { namespace: shop, name: cart }
spec:
  parentRefs: [{ namespace: infra, name: edge }, { namespace: infra, name: contour }]
  rules:
    - name: pay
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            backendRef: { name: gatehouse, port: 9002 }
            http: { path: /v1/check/shop/cart/pay/-, allowedResponseHeaders: [x-user] }
      backendRefs: [{ name: site, port: 80 }]`
    const yaml = `${at('edge', 'io.cilium/gateway-controller')}${at('contour', 'projectcontour.io/gateway-controller')}${route}`
    const us = { namespace: 'shop', name: 'gatehouse', ports: { grpc: 9001, http: 9002, matching: 9003 } }
    const findings = examine({ world: worldOf(readManifests(yaml)), us, rules: [] })
    expect(codes(findings)).not.toContain('controller-ignores-filter')
    expect(codes(findings, undefined, 'Gateway infra/contour')).toContain('controller-ignores-filter')
  })
})

import { memo } from '../model/memo.ts'
import { showRoute } from '../model/route.ts'
import type { PolicyReport } from '../policy/report.ts'

/** A rule that a policy claims, by the texts that it is looked up by. */
export interface ClaimedRule {
  /** `namespace/route/rule` */
  readonly rule: string
  readonly namespace: string
  /** `namespace/name` of the route. */
  readonly route: string
  readonly routeName: string
  /** Of the rule. */
  readonly name: string
}

/** Every rule that a policy claims. The texts are made once, for they are looked up in every round. */
export const claimedRules = memo((report: PolicyReport): readonly ClaimedRule[] =>
  report.rules.map(({ key }) => ({
    rule: showRoute(key),
    namespace: key.namespace,
    route: `${key.namespace}/${key.route}`,
    routeName: key.route,
    name: key.rule,
  })),
)

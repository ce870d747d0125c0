import { compileRegex } from '../authz/regex.ts'
import { memo } from '../model/memo.ts'
import { weakness } from '../model/result.ts'
import type { Finding, Path } from '../model/result.ts'
import type { HttpRoute, HttpRouteMatch } from './gateway-api.ts'

/**
 * The patterns of a route that cannot be read as RE2. A gateway with another dialect may read them, so the route is no worse for it;
 * but which requests they match is not known here, and matching refuses those.
 */
export const regexFindings = memo((route: HttpRoute): readonly Finding[] =>
  route.rules.flatMap(({ matches }, rule) =>
    matches.flatMap((match, index) => unreadable(match, ['spec', 'rules', rule, 'matches', index])),
  ),
)

function unreadable({ path, headers, queryParams }: HttpRouteMatch, at: Path): readonly Finding[] {
  return [
    ...finding(path, [...at, 'path', 'value']),
    ...headers.flatMap((one, index) => finding(one, [...at, 'headers', index, 'value'])),
    ...queryParams.flatMap((one, index) => finding(one, [...at, 'queryParams', index, 'value'])),
  ]
}

function finding({ type, value }: { readonly type: string; readonly value: string }, at: Path): readonly Finding[] {
  const regex = type === 'RegularExpression' ? compileRegex(value, 'whole', at) : undefined
  if (regex === undefined || regex.ok) return []
  return regex.findings.map(({ code, path, say, mend }) =>
    weakness(code, path, `${say}; requests that it may match are refused in matching`, mend),
  )
}

import type { HeaderReads } from '../authz/cel-reads.ts'
import { headerNameFault } from '../model/header.ts'
import { memo } from '../model/memo.ts'
import { failed, fault, ok, under } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import type { AuthPolicySpec } from './document.ts'
import { compileHeaders } from './response-headers.ts'
import type { Policy } from './snapshot.ts'

type Response = AuthPolicySpec['response']

/** What a policy does to a request that it lets through. */
export interface CompiledResponse extends Pick<
  Policy,
  'headers' | 'lastingHeaders' | 'managed' | 'remove' | 'removeQuery'
> {
  /** What the values of its headers look at of the request. */
  readonly reads: HeaderReads
}

/** Compiles `spec.response`; policies that say the same there share what it compiles to. Paths of findings start at it. */
export const compileResponse = memo((response: Response): Result<CompiledResponse> => {
  const headers = compileHeaders(response.headers)
  const faults = [
    ...(headers.ok ? [] : headers.findings.map((finding) => under(['headers'], finding))),
    ...removeFaults(response),
  ]
  if (!headers.ok || faults.length > 0) return failed(faults)
  return ok({
    headers: headers.value,
    reads: headers.value.reads,
    lastingHeaders: response.headers.every(({ value }) => value.cel === undefined || !/\brequest\b/.test(value.cel)),
    managed: response.headers.map(({ name }) => name.toLowerCase()),
    remove: response.remove.map((name) => name.toLowerCase()),
    removeQuery: new Set(response.removeQuery),
  })
})

const removeFaults = ({ remove }: Response): readonly Finding[] =>
  remove.flatMap((name, index) => {
    const why = headerNameFault(name)
    return why === undefined ? [] : [fault('forbidden-header', ['remove', index], why)]
  })

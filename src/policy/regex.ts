/** Regexes of HTTPRoute matches: the engine and the meaning (the whole text) are those of conditions. */
export { compileRegex } from '../authz/regex.ts'
export type { Regex } from '../authz/regex.ts'

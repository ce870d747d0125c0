import { z } from 'zod'
import { compileCel, maxCelLength } from '../authz/cel-program.ts'
import { allReads, noReads } from '../authz/cel-reads.ts'
import type { HeaderReads } from '../authz/cel-reads.ts'
import type { Subject } from '../authz/condition.ts'
import type { HeaderList } from '../model/decision.ts'
import { canonicalName, headerNameFault } from '../model/header.ts'
import { claimAt } from '../model/identity.ts'
import { failed, fault, ok, under } from '../model/result.ts'
import type { Finding, Result } from '../model/result.ts'
import { headerText } from './header-text.ts'

const sources = {
  claim: z
    .array(z.string().min(1).max(256))
    .min(1)
    .max(16)
    .optional()
    .describe('Path of a claim, member names from the outside in. Without the claim, the header is removed.'),
  cel: z.string().max(maxCelLength).optional().describe('A CEL expression; null removes the header, an error refuses.'),
  text: z.string().min(1).max(4096).optional().describe('This text, as it stands: printable ASCII.'),
}

/** One entry of `spec.response.headers`. */
export const responseHeader = z.strictObject({
  name: z.string().min(1).max(256).describe('Name of the header.'),
  value: z
    .strictObject(sources)
    .refine((value) => Object.keys(value).length === 1, {
      message: `has exactly one of ${Object.keys(sources).join(', ')}`,
    })
    .describe('Where the value comes from.'),
})

export type ResponseHeader = z.output<typeof responseHeader>

/** Names and values together. Envoy's own limit for all headers is 60 KiB; identity in headers needs far less (HDR-09). */
export const maxHeaderBytes = 8192
export const maxHeaders = 50

/** Values of the headers for one subject, and what of the request they are made from. */
export interface ResponseHeaders {
  (subject: Subject): HeaderList | undefined
  readonly reads: HeaderReads
}

/**
 * Compiles the headers that a policy sets. Called with a subject it gives lower-case names with values fit for a header, leaving
 * out what has no value, or undefined where a value cannot be made or all of them are too much: then the request is refused.
 */
export function compileHeaders(entries: readonly ResponseHeader[]): Result<ResponseHeaders> {
  const findings: Finding[] = [...nameFaults(entries)]
  const compiled = entries.flatMap(({ name, value }, index) => {
    const source = compileSource(value)
    if (source.ok) return [{ name: name.toLowerCase(), read: source.value }]
    findings.push(...source.findings.map((finding) => under([index, 'value'], finding)))
    return []
  })
  if (findings.length > 0) return failed(findings)
  const values = (subject: Subject): HeaderList | undefined => {
    const list: (readonly [string, string])[] = []
    let bytes = 0
    for (const { name, read } of compiled) {
      const text = read(subject)
      if (text === 'refused') return undefined
      if (text.value === '') continue
      bytes += name.length + text.value.length
      if (bytes > maxHeaderBytes) return undefined
      list.push([name, text.value])
    }
    return list
  }
  return ok(Object.assign(values, { reads: allReads(compiled.map(({ read }) => read.reads ?? noReads)) }))
}

function nameFaults(entries: readonly ResponseHeader[]): readonly Finding[] {
  const names = entries.map(({ name }) => canonicalName(name))
  const each = entries.flatMap(({ name }, index): readonly Finding[] => {
    const why = headerNameFault(name)
    if (why !== undefined) return [fault('forbidden-header', [index, 'name'], why)]
    return names.indexOf(canonicalName(name)) === index
      ? []
      : [fault('bad-value', [index, 'name'], `"${name}" is set twice`, 'give each header one entry')]
  })
  return entries.length <= maxHeaders ? each : [...each, fault('too-large', [], `sets more than ${maxHeaders} headers`)]
}

type Text = { readonly value: string } | 'refused'

interface Read {
  (subject: Subject): Text
  readonly reads?: HeaderReads
}

function compileSource({ claim, cel, text }: ResponseHeader['value']): Result<Read> {
  if (claim !== undefined) return ok(({ identity }) => written(claimAt(identity.claims, claim)))
  if (cel !== undefined) {
    const compiled = compileCel(cel, 'value')
    if (!compiled.ok) return failed(compiled.findings.map((finding) => under(['cel'], finding)))
    const run = compiled.value
    const read = (subject: Subject): Text => {
      const outcome = run(subject)
      return outcome.kind === 'value' ? written(outcome.value) : 'refused'
    }
    return ok(Object.assign(read, { reads: run.reads }))
  }
  const fixed = text ?? ''
  const plain = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(fixed)
  return plain
    ? ok(() => ({ value: fixed }))
    : failed([fault('bad-value', ['text'], 'is not printable ASCII, or begins or ends with a space')])
}

function written(value: unknown): Text {
  const text = headerText(value)
  return text === undefined ? 'refused' : { value: text }
}

/*
 * How a value becomes a header, so that the backend can take it back byte by byte:
 * - text: its UTF-8 bytes; those outside %x20-7E, `%` itself and outer spaces are percent-encoded;
 * - number, bool: as in JSON;
 * - list: its elements joined by `,` (RFC 9110 §5.6.1); an element that holds `,` `"` `\` or outer spaces, or is empty, is a
 *   quoted-string (§5.6.4); nulls are left out;
 * - object: JSON, then as text;
 * - null and nothing: no header.
 */

/** The value as a header; empty where there is to be none, undefined where it cannot be written. */
export function headerText(value: unknown): string | undefined {
  if (!Array.isArray(value)) {
    const text = scalar(value)
    return text === undefined ? undefined : outerSpacesEncoded(text)
  }
  const elements = value.filter((element) => element !== null && element !== undefined).map(scalar)
  return elements.every((element) => element !== undefined) ? elements.map(quoted).join(',') : undefined
}

/** No regular expression: ` +$` takes time by the square of the spaces inside. */
function outerSpacesEncoded(text: string): string {
  let begin = 0
  let end = text.length
  while (begin < end && text[begin] === ' ') begin += 1
  while (end > begin && text[end - 1] === ' ') end -= 1
  return '%20'.repeat(begin) + text.slice(begin, end) + '%20'.repeat(text.length - end)
}

function scalar(value: unknown): string | undefined {
  if (value === null || value === undefined) return ''
  // Half a character has no UTF-8, and two such values would become one.
  if (typeof value === 'string') return value.isWellFormed() ? percentEncoded(value) : undefined
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return typeof value === 'object' ? percentEncoded(json(value)) : undefined
}

const encoder = new TextEncoder()

const percentEncoded = (text: string): string =>
  text.replace(/[^\x20-\x24\x26-\x7e]+/g, (run) =>
    [...encoder.encode(run)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )

const quoted = (element: string): string =>
  /^$|[,"\\]|^ | $/.test(element) ? `"${element.replace(/["\\]/g, String.raw`\$&`)}"` : element

/** A CEL int is a bigint, which JSON.stringify does not take; past 2^53 its text keeps every digit. */
const json = (value: object): string =>
  JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== 'bigint') return member
    return Number.isSafeInteger(Number(member)) ? Number(member) : String(member)
  })

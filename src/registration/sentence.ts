const longest = 1024

/** A clause as a sentence: its first letter large, a full stop at its end, no longer than a reader takes. */
export const sentence = (clause: string): string => capital(plain(clause))

/** The same without the large letter: what comes after a colon. */
export function plain(clause: string): string {
  const text = clause.replaceAll(/\s+/g, ' ').trim()
  const bounded = text.length > longest ? `${text.slice(0, longest)}…` : text
  return /[.!?…]$/.test(bounded) ? bounded : `${bounded}.`
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

/** `a, b, c` or `a, b, c, d and 7 more`. */
export const listed = (names: readonly string[]): string =>
  names.length > 5 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ')

/** Something with fields, of which nothing more is known. */
export type Fields = Readonly<Record<string, unknown>>

/** True for an object that is no list and not null. */
export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * True where an object has everything that is wanted of it. Members that others added do not count, in lists they do: what we
 * list, we list whole. API versions are left out, for one object is read in another version than it was written in.
 */
export function contains(there: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(there) &&
      there.length === wanted.length &&
      wanted.every((one, index) => contains(there[index], one))
    )
  }
  if (typeof wanted !== 'object' || wanted === null) return there === wanted
  if (typeof there !== 'object' || there === null) return false
  const members = there as Readonly<Record<string, unknown>>
  return Object.entries(wanted).every(([key, value]) => key === 'apiVersion' || contains(members[key], value))
}

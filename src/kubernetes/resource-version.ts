/**
 * Orders two resource versions of one kind. They are decimal numbers that only grow (KEP-5504 promises what has always been so);
 * of a server that writes something else, the later one to arrive is the newer.
 */
export function compareVersions(one: string, other: string): number {
  if (one === other) return 0
  if (!decimal.test(one) || !decimal.test(other)) return 1
  if (one.length !== other.length) return one.length - other.length
  return one < other ? -1 : 1
}

const decimal = /^(0|[1-9]\d*)$/

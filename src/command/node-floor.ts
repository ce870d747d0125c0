/** Oldest Node.js of each release line without a known hole in its HTTP, HTTP/2 or TLS (the releases of July 2026). */
const floors: readonly (readonly [line: number, minor: number, patch: number])[] = [
  [22, 23, 2],
  [24, 18, 1],
]

/** Why this Node.js is not to be put in front of anything, or undefined. Lines newer than those known are taken as mended. */
export function outdatedNode(version: string): string | undefined {
  const [line = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const floor = floors.find(([known]) => known === line)
  const newer = line > Math.max(...floors.map(([known]) => known))
  const good = floor === undefined ? newer : minor > floor[1] || (minor === floor[1] && patch >= floor[2])
  if (good) return undefined
  const wanted = floors.map((parts) => parts.join('.')).join(' or ')
  return `Node.js ${version} has known vulnerabilities; use ${wanted} or newer, or start with --insecure-old-node`
}

/** Paths that servers read differently, all aimed at a protected prefix: dot segments, encodings, separators, parameters. */
export function pathCorpus({ open, guarded }: { readonly open: string; readonly guarded: string }): readonly string[] {
  const all = new Set<string>()
  const first = guarded.charCodeAt(0).toString(16)
  const names = [
    guarded,
    `%${first}${guarded.slice(1)}`,
    `${guarded};v=1`,
    `${guarded}/.`,
    `${guarded}%2f`,
    `./${guarded}`,
  ]
  for (const start of [`/${open}`, `/${open}/a/b`, '', '/.', '/nowhere'])
    for (const up of ups)
      for (const separator of separators) for (const name of names) all.add(`${start}/${up}${separator}${name}/x`)
  for (const separator of separators)
    for (const name of names) all.add(`${separator}${name}/x`).add(`/${separator}${name}/x`)
  for (const end of ends) all.add(`/${guarded}${end}`).add(`/${open}/../${guarded}${end}`)
  return [...all].filter((path) => path.startsWith('/'))
}

const ups = [
  '..',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '../..',
  '%2e%2e/..',
  '..;',
  '..;x=1',
  '%2e%2e;',
  '..%3b',
  '%252e%252e',
  '%25%32%65%25%32%65',
  '%c0%ae%c0%ae',
  '%ef%bc%8e%ef%bc%8e',
  '..%00',
  '..%09',
  '..%20',
  '...',
  'x/../..',
] as const

const separators = ['/', '//', '/./', '%2f', '%2F', '%5c', '\\', '%252f', '%c0%af', '/%2e/', '/;/', '/x/../'] as const

const ends = [
  '',
  '/',
  '/.',
  '/..',
  '/../',
  '//',
  ';',
  ';/x',
  '%20',
  '%09',
  '%2f',
  '%00',
  '.json',
  '?x',
  '??',
  '/x?/../..',
  '%3f',
  '%23',
] as const

/**
 * What servers make of a path: as it stands, by RFC 3986 §6.2.2 (unreserved escapes decoded, then dot segments removed), and
 * by the habits of those that decode more, merge slashes, turn backslashes or cut parameters.
 */
export function readings(target: string): readonly string[] {
  const path = target.split('?', 1)[0] ?? ''
  const unreserved = path.replaceAll(/%(2d|2e|5f|7e|[46][1-9a-f]|[57][0-9a]|3[0-9])/gi, (escape) =>
    decodeURIComponent(escape),
  )
  const decoded = path.replaceAll(/%[0-7][0-9a-f]/gi, (escape) => decodeURIComponent(escape))
  const twice = decoded.replaceAll(/%[0-7][0-9a-f]/gi, (escape) => decodeURIComponent(escape))
  const lenient = [decoded, twice].flatMap((one) => {
    const slashes = one.replaceAll('\\', '/')
    const merged = slashes.replaceAll(/\/+/g, '/')
    return [
      one,
      slashes,
      merged,
      slashes.replaceAll(/;[^/]*/g, ''),
      merged.replaceAll(/;[^/]*/g, '').replaceAll(/\/+/g, '/'),
    ]
  })
  return [...new Set([path, unreserved, ...lenient].flatMap((one) => [one, withoutDotSegments(one)]))]
}

/** The one reading that RFC 3986 §6.2.2 gives. */
export function canonical(target: string): string {
  const path = target.split('?', 1)[0] ?? ''
  return withoutDotSegments(
    path.replaceAll(/%(2d|2e|5f|7e|[46][1-9a-f]|[57][0-9a]|3[0-9])/gi, (escape) => decodeURIComponent(escape)),
  )
}

/** RFC 3986 §5.2.4. */
function withoutDotSegments(path: string): string {
  const out: string[] = []
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '..') out.pop()
    else if (segment !== '.') out.push(segment)
    if (last && (segment === '.' || segment === '..')) out.push('')
  }
  return `/${out.join('/')}`
}

/** Whether a path lies below a prefix, by segments. */
export const below = (path: string, prefix: string): boolean => path === prefix || path.startsWith(`${prefix}/`)

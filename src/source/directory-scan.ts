import { readdir, realpath, stat } from 'node:fs/promises'
import type { BigIntStats, Dirent } from 'node:fs'
import { join, sep } from 'node:path'
import { fault } from '../model/result.ts'
import type { Problem } from '../model/result.ts'

/** A file to read, as far as can be told without opening it. */
export interface SeenFile {
  /** Where its bytes really are. */
  readonly real: string
  /** Changes with every change of the file: identity, size and times. */
  readonly print: string
  /** When it last changed, in milliseconds since the epoch by the clock of its file system. */
  readonly changed: number
}

/** One look at a directory. */
export interface Scan {
  /** By path relative to the directory, `/` between its parts, in order. */
  readonly files: ReadonlyMap<string, SeenFile>
  /** Folders and links that could not be followed: what was read below them before is not gone. */
  readonly unseen: readonly string[]
  readonly problems: readonly Problem[]
  /** Why the directory cannot be read at all: then nothing of it was seen. */
  readonly lost?: Problem
}

export const limits = { files: 10_000, depth: 32, bytes: 10_000_000 } as const

interface Walk {
  /** The directory without links: nothing outside it is read (CFG-09). */
  readonly root: string
  readonly files: Map<string, SeenFile>
  readonly unseen: string[]
  readonly problems: Problem[]
  /** Folders that links led to: each is entered once, so that links to one another come to an end. */
  readonly linked: Set<string>
}

/** Looks through a directory. */
export async function scan(directory: string): Promise<Scan> {
  try {
    const walk: Walk = {
      root: await realpath(directory),
      files: new Map(),
      unseen: [],
      problems: [],
      linked: new Set(),
    }
    const entries = await readdir(walk.root, { withFileTypes: true })
    await visit(walk, '', entries, 0)
    return walk
  } catch (cause) {
    return { files: new Map(), unseen: [], problems: [], lost: unreadable(directory, errorCode(cause)) }
  }
}

/** Why a directory cannot be read at all, with its path and what to do. */
function unreadable(directory: string, code: string): Problem {
  const [why, mend] = reasons[code] ?? ['it cannot be opened', 'name a directory that can be']
  const say = `the directory cannot be read: ${why} (${code})`
  return { ...fault('unreadable-source', [], say, mend), file: directory }
}

const reasons: Readonly<Record<string, readonly [why: string, mend: string]>> = {
  ENOENT: ['there is nothing at this path', 'make it, or name the directory of your policies'],
  ENOTDIR: ['this is no directory', 'name the directory that the file is in'],
  EACCES: ['this user may not read it', 'let the user of this process list and enter it, and every folder above it'],
}

async function visit(walk: Walk, folder: string, entries: readonly Dirent[], depth: number): Promise<void> {
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    // `..data` and the folders behind it are how Kubernetes mounts a ConfigMap; links beside them lead through it.
    if (entry.name.startsWith('.')) continue
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) await enter(walk, path, depth)
    else if (entry.isSymbolicLink()) await follow(walk, path, depth)
    else if (isManifest(path)) await take(walk, path, join(walk.root, path))
  }
}

const isManifest = (path: string): boolean => /\.(ya?ml|json)$/i.test(path)

async function enter(walk: Walk, path: string, depth: number): Promise<void> {
  if (depth >= limits.depth) return unseen(walk, path, 'too-large', `is nested deeper than ${limits.depth}`)
  try {
    await visit(walk, path, await readdir(join(walk.root, path), { withFileTypes: true }), depth + 1)
  } catch (cause) {
    unseen(walk, path, 'unreadable-source', `this folder cannot be read (${errorCode(cause)})`)
  }
}

async function follow(walk: Walk, path: string, depth: number): Promise<void> {
  try {
    const real = await realpath(join(walk.root, path))
    if (!real.startsWith(walk.root + sep)) {
      return unseen(walk, path, 'unreadable-source', 'is a link that leads out of the directory')
    }
    if ((await stat(real)).isDirectory()) {
      if (walk.linked.has(real)) return
      walk.linked.add(real)
      await enter(walk, path, depth)
    } else if (isManifest(path)) await take(walk, path, real)
  } catch (cause) {
    if (isManifest(path))
      unseen(walk, path, 'unreadable-source', `is a link that cannot be followed (${errorCode(cause)})`)
  }
}

async function take(walk: Walk, path: string, real: string): Promise<void> {
  if (walk.files.size >= limits.files) {
    return unseen(walk, path, 'too-large', `is beyond the ${limits.files} files that are read`)
  }
  try {
    const seen = await stat(real, { bigint: true })
    if (!seen.isFile()) unseen(walk, path, 'unreadable-source', 'is no ordinary file')
    else if (seen.size > limits.bytes) unseen(walk, path, 'too-large', `has more than ${limits.bytes} bytes`)
    else walk.files.set(path, { real, print: fingerprint(seen), changed: Number(seen.ctimeMs) })
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') {
      unseen(walk, path, 'unreadable-source', `cannot be looked at (${errorCode(cause)})`)
    }
  }
}

/** What tells one state of a file from another: also a replacement that kept size and time, and a change of its rights. */
export const fingerprint = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join(':')

function unseen(walk: Walk, path: string, code: 'too-large' | 'unreadable-source', say: string): void {
  walk.unseen.push(path)
  // One complaint tells enough of ten thousand files too many.
  if (!walk.problems.some((problem) => problem.code === 'too-large' && problem.say === say)) {
    walk.problems.push({ ...fault(code, [], say), file: path })
  }
}

/** `EACCES` and so on: the message would hold a path of this machine. */
export const errorCode = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'

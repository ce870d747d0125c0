import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { fault } from '../model/result.ts'
import type { Problem } from '../model/result.ts'
import { errorCode, fingerprint } from './directory-scan.ts'
import type { SeenFile } from './directory-scan.ts'

/** What a file held. */
export interface Read {
  readonly text: string
  readonly digest: string
}

export type Reading =
  | (Read & { readonly kind: 'text' })
  | { readonly kind: 'moved' }
  | { readonly kind: 'failed'; readonly problem: Problem }

/** Reads a file if it still is the one that was seen, before and after. */
export async function readSeen(path: string, { real, print }: SeenFile): Promise<Reading> {
  const failed = (say: string): Reading => ({
    kind: 'failed',
    problem: { ...fault('unreadable-source', [], say), file: path },
  })
  try {
    // Its links were followed when it was looked at; one that came since could lead anywhere.
    const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const same = async (): Promise<boolean> => fingerprint(await handle.stat({ bigint: true })) === print
      if (!(await same())) return { kind: 'moved' }
      const bytes = await handle.readFile()
      if (!(await same())) return { kind: 'moved' }
      const digest = createHash('sha256').update(bytes).digest('base64')
      return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), digest }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return { kind: 'moved' }
    return failed(cause instanceof TypeError ? 'is not UTF-8 text' : `cannot be read (${errorCode(cause)})`)
  }
}

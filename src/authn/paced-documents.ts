import type { Clock } from '../model/clock.ts'
import type { HttpAnswer, HttpAsk, HttpClient } from './http-client.ts'

/** Documents of issuers, each asked for at most once in a while, whoever wants it and however often. */
export interface PacedDocuments {
  readonly visit: () => Visit
  /** Breaks off what is under way. */
  readonly close: () => void
}

/** One look at some documents. */
export interface Visit {
  /** Gives what was last answered, or is being answered, where it is too soon to ask again. */
  readonly http: HttpClient
  /** Ticks at which the oldest and the newest of the documents were asked for; undefined where none was. */
  readonly oldest: () => number | undefined
  readonly newest: () => number | undefined
  /** True where the network was asked for one of them. */
  readonly asked: () => boolean
}

export interface PacedDocumentsParts {
  readonly http: HttpClient
  readonly clock: Clock
  /** Milliseconds between two exchanges for one URL. */
  readonly gap: number
}

interface Entry {
  readonly started: number
  readonly answer: Promise<HttpAnswer>
}

/**
 * Keeps the last exchange of each URL for the gap: a policy that is removed and added again, or a second way to the same URL, is no
 * reason to ask an issuer twice. Failures are kept as well: those are what an issuer in trouble needs to be spared.
 */
export function createPacedDocuments({ http, clock, gap }: PacedDocumentsParts): PacedDocuments {
  const entries = new Map<string, Entry>()
  const closing = new AbortController()

  const begin = (ask: HttpAsk): Entry => {
    const started = clock.ticks()
    for (const [url, entry] of entries) if (started - entry.started >= gap) entries.delete(url)
    // Others may wait for it, so it ends with the store and not with who happened to be the first.
    const entry = { started, answer: http.exchange({ ...ask, signal: closing.signal }) }
    entries.set(ask.url, entry)
    return entry
  }

  return {
    visit: () => {
      const times: number[] = []
      let asked = false
      const exchange = (ask: HttpAsk): Promise<HttpAnswer> => {
        const before = entries.get(ask.url)
        const recent = before !== undefined && clock.ticks() - before.started < gap ? before : undefined
        const entry = recent ?? begin(ask)
        asked ||= recent === undefined
        times.push(entry.started)
        return entry.answer
      }
      return {
        http: { ...http, exchange },
        oldest: () => (times.length === 0 ? undefined : Math.min(...times)),
        newest: () => (times.length === 0 ? undefined : Math.max(...times)),
        asked: () => asked,
      }
    },
    close: () => {
      closing.abort()
      entries.clear()
    },
  }
}

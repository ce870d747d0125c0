import { check } from './check.ts'
import type { Dialect } from './dialect.ts'

/** An ExternalAuth filter without `http.path`: the call is the client's request itself, on a port where no path can name a rule. */
export const matching: Dialect = {
  read: (ask, address) => check.read(ask, { ...address, rest: ask.target }),
  write: check.write,
}

/** What parts report about themselves, in closed sets only: no name of a user, path, host or key can become a label. */
export interface Telemetry {
  /** Counts an event. */
  readonly count: (event: Counter) => void
  /** Sets a level; `part` says of what. */
  readonly level: (gauge: Gauge, value: number) => void
}

export const counters = {
  'jwks-fetch-ok': 'key sets fetched',
  'jwks-fetch-failed': 'key sets that could not be fetched or used',
  'jwks-private-key': 'private keys found in a public key set',
  'introspection-ok': 'introspection answers',
  'introspection-failed': 'introspection calls without a usable answer',
  'introspection-refused': 'introspection calls refused by the server for our own credentials',
  'introspection-breaker-opened': 'times that a circuit breaker opened',
  'password-hash': 'password hashes computed',
  'password-queue-full': 'password checks refused because the queue was full',
  'work-shed':
    'requests that came too late for a password check or a question to others, because the event loop was behind',
  lockout: 'attempts refused because of earlier failures',
  'log-dropped': 'decision lines that could not be written',
  'reload-ok': 'snapshots put in force',
  'reload-failed': 'reads of the source that gave nothing usable',
  'watch-list': 'lists of a kind read from the API server',
  'watch-failed': 'lists and watches of the API server that failed',
  'status-written': 'statuses of policies written to the API server',
  'object-written': 'objects of our own written or removed',
  'write-failed': 'writes that the API server refused',
  'event-lost': 'Events that could not be written',
  'identity-mismatch': 'checks whose key did not fit its HTTPRoute',
  'review-answered': 'questions about tokens and permissions that the API server answered',
  'review-failed': 'questions that it did not answer',
  'review-refused': 'questions that it does not let our own account ask',
  'review-breaker-opened': 'times that asking it was given up for a while',
  'uncaught-error': 'errors that nothing caught, after which the process drains and ends',
} as const
export type Counter = keyof typeof counters

export const gauges = {
  'jwks-age-seconds': 'age of the oldest key set in use',
  'config-generation': 'number of the snapshot in force',
  'config-problems': 'errors in the policies in force',
  'config-rules': 'rules with a policy',
  'identity-cache-entries': 'identities in the cache',
  'introspection-cache-entries': 'introspection answers in the cache',
  'lockout-entries': 'users and sources with failed attempts on record',
  'watch-age-seconds': 'seconds since the API server last said anything, of the watch that is most behind',
  'watches-behind': 'watches of the API server that are not open',
  'wiring-findings': 'errors in how routes and gateways are wired to us',
  leader: '1 on the replica that writes statuses, else 0',
  'password-queue': 'password checks waiting',
} as const
export type Gauge = keyof typeof gauges

/** Reports nowhere. */
export const silent: Telemetry = { count: () => undefined, level: () => undefined }

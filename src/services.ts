import { createHttpClient } from './authn/http-client.ts'
import { createReviews } from './authn/kubernetes-reviews.ts'
import { createIntrospector } from './authn/introspector.ts'
import { createJwksStore } from './authn/jwks-store.ts'
import { createKeyedDigest } from './authn/keyed-digest.ts'
import { createLockout } from './authn/lockout.ts'
import { createPasswordPool } from './authn/password-pool.ts'
import type { HttpClient } from './authn/http-client.ts'
import type { Services } from './authn/services.ts'
import type { ReviewServer } from './model/reviews.ts'
import type { Clock } from './model/clock.ts'
import { silent } from './model/telemetry.ts'
import type { Telemetry } from './model/telemetry.ts'

/** Services with the one thing that must be done to them at the end. */
export interface OwnedServices extends Services {
  readonly close: () => Promise<void>
}

export const systemClock: Clock = { now: () => Date.now(), ticks: () => performance.now() }

export interface ServiceOptions {
  readonly clock?: Clock
  readonly telemetry?: Telemetry
  readonly allowHttpIssuers?: boolean
  readonly blockPrivateIssuers?: boolean
  /** The API server of the cluster that we serve. */
  readonly reviewServer?: ReviewServer | undefined
}

/** Everything that methods share and that outlives snapshots, made with the world as it is. */
export function createServices(options: ServiceOptions = {}): OwnedServices {
  const { clock = systemClock, telemetry = silent } = options
  const http = createHttpClient({
    allowHttp: options.allowHttpIssuers ?? false,
    blockPrivate: options.blockPrivateIssuers ?? false,
  })
  return assemble({ http, clock, telemetry, reviewServer: options.reviewServer })
}

/** The same without a network: for looking at policies, not at requests. */
export function offlineServices(): OwnedServices {
  const http = createHttpClient({})
  const offline: HttpClient = { ...http, exchange: () => Promise.reject(new Error('offline')) }
  return assemble({ http: offline, clock: systemClock, telemetry: silent, reviewServer: unasked })
}

/** Looking at a policy asks nobody. */
const unasked: ReviewServer = {
  id: 'none',
  tokenReview: () => Promise.resolve({ kind: 'failed', why: 'trouble' }),
  accessReview: () => Promise.resolve({ kind: 'failed', why: 'trouble' }),
}

interface Parts {
  readonly http: HttpClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly reviewServer: ReviewServer | undefined
}

function assemble({ http, clock, telemetry, reviewServer: server }: Parts): OwnedServices {
  const digest = createKeyedDigest()
  const report = (event: 'answered' | 'failed' | 'refused' | 'breaker-opened'): void =>
    telemetry.count(`review-${event}`)
  const reviews = server && createReviews({ server, clock, digest, report })
  const passwords = createPasswordPool({ telemetry })
  const jwks = createJwksStore({ http, clock, telemetry })
  const introspector = createIntrospector({ http, clock, telemetry })
  return {
    clock,
    telemetry,
    digest,
    http,
    passwords,
    lockout: createLockout({ clock, telemetry }),
    jwks,
    introspector,
    reviews,
    close: async () => {
      jwks.close()
      introspector.close()
      reviews?.close()
      await Promise.all([passwords.close(), http.close()])
    },
  }
}

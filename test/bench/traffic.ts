/** What kind of requests a load consists of, and what each must be answered; plain data, for it goes to another process. */
export interface Traffic {
  readonly protocol: 'grpc' | 'http'
  /** The request in base64, with the marks of `message.ts` in it: a CheckRequest, or a whole HTTP/1.1 request. */
  readonly request: string
  /** File of credentials of equal length, a line `credential subject` each; a request without any has one empty line. */
  readonly credentials: string
  readonly credentialLength: number
  /** True where no credential may be presented twice. */
  readonly once: boolean
  readonly expected: Expected
}

/** The right answer. */
export interface Expected {
  /** 200 for an allow, else the status that the client is to see. */
  readonly status: 200 | 401 | 403
  /** A header that an allow sets: to this value, or else to the subject of the credential. */
  readonly header?: { readonly name: string; readonly value?: string }
}

/** How the requests come. */
export interface Shape {
  readonly connections: number
  /** Requests under way at once on each connection. */
  readonly streams: number
  /** Requests a second, each due at its own time whatever the server does; without it each waits for an answer (closed loop). */
  readonly rate?: number
}

/** A load on one server. It ends with its time or its requests, whichever comes first; of `once` traffic it takes half of the credentials that are left at most. */
export interface Job {
  readonly pid: number
  readonly port: number
  readonly traffic: Traffic
  readonly shape: Shape
  readonly limits: Limits
  /** Keeps the load's process from sleeping between answers, for a figure. Else others can have its core meanwhile. */
  readonly awake: boolean
}

/** The end of a load. */
export interface Limits {
  readonly millis: number
  readonly requests?: number
}

/** What came of it. */
export interface Measured {
  /** All of them, each judged. */
  readonly answers: number
  readonly wrong: number
  /** The first wrong answer in words. */
  readonly complaint?: string
  /** Answers that the rest is about: those from the time on at which all connections are open. */
  readonly requests: number
  readonly seconds: number
  /** CPU microseconds of the server for each request. */
  readonly cpu: number
  /** Share of one core that the server used, 0 to 1 and over where it has threads on others. */
  readonly utilisation: number
  /** Milliseconds from the time that a request was due to its answer. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly p999: number }
}

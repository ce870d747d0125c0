import { IncomingMessage } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { headOf } from './ask.ts'
import type { Head } from './ask.ts'

/** A request of HTTP/1.1 whose head is read once, by us. */
export class Http1Request extends IncomingMessage {
  #head: Head | undefined

  get head(): Head {
    return (this.#head ??= headOf(this))
  }
}

/** What Node's server itself looks up in `headers`; it makes all of them for that, which is a tenth of what a check takes. */
const consulted = ['expect', 'te', 'content-length', 'transfer-encoding']

// Not a member of the class: what is a property there cannot be an accessor here.
Object.defineProperty(Http1Request.prototype, 'headers', {
  get(this: Http1Request): IncomingHttpHeaders {
    const { headers } = this.head
    const found = consulted.filter((name) => headers.has(name))
    return found.length === 0 ? none : Object.fromEntries(found.map((name) => [name, headers.get(name)?.join(', ')]))
  },
})

const none: IncomingHttpHeaders = Object.freeze({})

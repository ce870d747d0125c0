import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { bodyOf, httpServer, sendJson } from './local-server.ts'
import type { LocalServer } from './local-server.ts'

/** One introspection call as it came over the wire. */
export interface AskedCall {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly form: URLSearchParams
}

/** A scripted introspection endpoint: for what a well-behaved provider would never say. */
export interface ScriptedServer extends LocalServer {
  readonly calls: AskedCall[]
  /** What it does from now on: an object is sent as JSON, a function does what it wants. */
  readonly say: (what: Script) => void
}

export type Script = object | ((response: ServerResponse, call: AskedCall) => void)

export async function scriptedServer(first: Script = { active: false }): Promise<ScriptedServer> {
  const calls: AskedCall[] = []
  let script = first
  const server = await httpServer((request, response) => {
    void bodyOf(request).then((body) => {
      const call = { path: request.url ?? '', headers: request.headers, body, form: new URLSearchParams(body) }
      calls.push(call)
      if (typeof script === 'function') (script as (response: ServerResponse, call: AskedCall) => void)(response, call)
      else sendJson(response, script)
    })
  })
  return { ...server, calls, say: (what) => (script = what) }
}

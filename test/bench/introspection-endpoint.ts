import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { audience, issuer } from './credentials.ts'

/** An introspection endpoint (RFC 7662) that finds every token active; the subject is what stands behind its dot. */
export interface IntrospectionEndpoint {
  readonly url: string
  readonly close: () => void
}

export async function startIntrospection(): Promise<IntrospectionEndpoint> {
  const server = createServer((request, response) => {
    let form = ''
    request.setEncoding('utf8').on('data', (text: string) => (form += text))
    request.on('end', () => {
      const sub = (new URLSearchParams(form).get('token') ?? '').split('.')[1]
      const exp = Math.floor(Date.now() / 1000) + 86_400
      const answer = {
        active: true,
        sub,
        iss: issuer,
        aud: audience,
        client_id: 'web',
        tenant: 'north',
        scope: 'cart.read',
        exp,
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/introspect`,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

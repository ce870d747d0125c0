import { describe, expect, it } from 'vitest'
import { serviceTls } from '../../src/registration/service-certificate.ts'
import { authority } from '../support/certificates.ts'
import { describeIfOpenssl, selfSigned, signedBetween } from '../support/chains.ts'

type Pem = () => string
type Untold = [what: string, chain: Pem, authorities: Pem | undefined, say: RegExp]

const service = { namespace: 'gatehouse', name: 'gatehouse' }
const hostnameFor = (subjectAltName: string): string => {
  const { ca, issue } = authority()
  const found = serviceTls({ chain: issue(subjectAltName).cert, authorities: ca }, service)
  return found.ok ? found.value.hostname : found.say
}

describeIfOpenssl('what gateways are told of our TLS', () => {
  describe('the authority', () => {
    it('is the one that the operator names, and of its file the certificates only', () => {
      const { ca, issue } = authority()
      const { cert, key } = issue('DNS:gatehouse.gatehouse.svc')
      const found = serviceTls({ chain: cert, authorities: `# ours\n${key}\n${ca}` }, service)
      expect(found).toEqual({ ok: true, value: { ca, hostname: 'gatehouse.gatehouse.svc' } })
    })

    it('is every one that the operator names, as while one takes the place of another', () => {
      const [old, next] = [authority(), authority()]
      const { cert } = next.issue('DNS:gatehouse.gatehouse.svc')
      expect(serviceTls({ chain: cert, authorities: old.ca + next.ca }, service)).toMatchObject({
        value: { ca: old.ca + next.ca },
      })
    })

    it('is the self-signed certificate at the end of the chain, over what stands between', () => {
      const { leaf, between, root } = signedBetween('DNS:gatehouse.gatehouse.svc')
      expect(serviceTls({ chain: leaf + between + root }, service)).toMatchObject({ value: { ca: root } })
      expect(serviceTls({ chain: leaf + between, authorities: root }, service)).toMatchObject({ value: { ca: root } })
    })

    it('is the certificate itself where that is self-signed', () => {
      const cert = selfSigned('DNS:gatehouse.gatehouse.svc')
      expect(serviceTls({ chain: cert }, service)).toMatchObject({ value: { ca: cert } })
    })

    it.each([
      ['a chain that does not bring it', () => signedBetween('DNS:a').leaf, undefined, /name that with --tls-ca/],
      [
        'one that signed something else',
        () => authority().issue('DNS:a').cert,
        () => authority().ca,
        /not signed by any authority of --tls-ca/,
      ],
      [
        'a chain without the certificate between',
        () => signedBetween('DNS:a').leaf,
        () => signedBetween('DNS:a').root,
        /not signed/,
      ],
      [
        'a self-signed one that has nothing to do with it',
        () => authority().issue('DNS:a').cert + authority().ca,
        undefined,
        /not signed by the authority in its file/,
      ],
      ['a file without certificates', () => authority().issue('DNS:a').cert, () => 'hello', /--tls-ca holds no/],
      ['no certificate at all', () => 'hello', undefined, /holds no certificate/],
      [
        'a certificate that is none',
        () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
        undefined,
        /holds no certificate/,
      ],
    ] satisfies Untold[])('is not told of %s', (_, chain, authorities, say) => {
      const found = serviceTls({ chain: chain(), authorities: authorities?.() }, service)
      expect(found).toEqual({ ok: false, say: expect.stringMatching(say) })
    })
  })

  describe('the name', () => {
    it.each([
      ['our Service’s', 'DNS:gatehouse,DNS:gatehouse.gatehouse.svc,DNS:auth.example.com', 'gatehouse.gatehouse.svc'],
      [
        'with the cluster’s domain',
        'DNS:auth.example.com,DNS:gatehouse.gatehouse.svc.k8s.test',
        'gatehouse.gatehouse.svc.k8s.test',
      ],
      ['under a wildcard of the namespace', 'DNS:*.gatehouse.svc', 'gatehouse.gatehouse.svc'],
      ['in lower case', 'DNS:Gatehouse.Gatehouse.svc', 'gatehouse.gatehouse.svc'],
      [
        'another one, where the certificate has none of ours',
        'DNS:*.example.com,DNS:auth.example.com',
        'auth.example.com',
      ],
    ])('is %s', (_, names, expected) => expect(hostnameFor(names)).toBe(expected))

    it.each(['IP:192.0.2.1', 'DNS:*.example.com', 'URI:spiffe://cluster/ns/gatehouse'])(
      'cannot be told of %s alone',
      (names) => expect(hostnameFor(names)).toMatch(/issued for gatehouse\.gatehouse\.svc/),
    )
  })
})

import { X509Certificate } from 'node:crypto'
import type { BackendTlsOptions } from './backend-tls.ts'

/** PEM texts of the certificate that our Service serves and of the authorities that gateways are to check it by. */
export interface ServiceCertificate {
  /** The served chain, leaf first. */
  readonly chain: string
  /** Authorities that the operator named; where absent, the chain has to bring its own. */
  readonly authorities?: string | undefined
}

/** What gateways are told of our TLS, or in one sentence why they cannot be told. */
export type ServiceTls =
  | { readonly ok: true; readonly value: Omit<BackendTlsOptions, 'apiVersion'> }
  | { readonly ok: false; readonly say: string }

/**
 * The authority by which gateways check our certificate, and the name that they ask for and check it against (GATEWAYS.md §A.4).
 * Only certificates come out, whatever else the files hold: the authority goes into a ConfigMap that everybody may read.
 */
export function serviceTls(
  { chain, authorities }: ServiceCertificate,
  service: { readonly namespace: string; readonly name: string },
): ServiceTls {
  const served = certificatesOf(chain)
  const [leaf] = served
  if (leaf === undefined) return no('the certificate file holds no certificate')
  const named = authorities === undefined ? undefined : certificatesOf(authorities)
  if (named?.length === 0) return no('the file of --tls-ca holds no certificate')
  const own = served.findLast(selfSigned)
  const roots = named ?? (own === undefined ? [] : [own])
  if (roots.length === 0)
    return no('the certificate file does not end in the authority that signed it; name that with --tls-ca')
  if (!leadsTo(leaf, served, roots))
    return no(
      `the certificate was not signed by ${named === undefined ? 'the authority in its file' : 'any authority of --tls-ca'}`,
    )
  const hostname = hostnameOf(leaf, service)
  if (hostname === undefined)
    return no(`the certificate has no DNS name; have it issued for ${service.name}.${service.namespace}.svc`)
  return { ok: true, value: { ca: roots.map(String).join(''), hostname } }
}

const no = (say: string): ServiceTls => ({ ok: false, say })

const block = /-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----/g

/** The certificates among the blocks of a PEM text; a block that is none is left out, and what it signed is not found. */
function certificatesOf(pem: string): readonly X509Certificate[] {
  return [...pem.matchAll(block)].flatMap(([text]) => {
    try {
      return [new X509Certificate(text)]
    } catch {
      return []
    }
  })
}

const signed = (issuer: X509Certificate, one: X509Certificate): boolean =>
  one.checkIssued(issuer) && one.verify(issuer.publicKey)

// Not by checkIssued: a leaf that stands for itself seldom may sign others.
const selfSigned = (one: X509Certificate): boolean => one.issuer === one.subject && one.verify(one.publicKey)

/** True where signatures lead from a certificate to one of the roots, over what the server sends along. */
function leadsTo(
  leaf: X509Certificate,
  between: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): boolean {
  const passed = new Set<X509Certificate>()
  for (let at: X509Certificate | undefined = leaf; at !== undefined && !passed.has(at);) {
    const one: X509Certificate = at
    if (roots.some((root) => root.fingerprint256 === one.fingerprint256 || signed(root, one))) return true
    passed.add(one)
    at = between.find((issuer) => !passed.has(issuer) && signed(issuer, one))
  }
  return false
}

// PreciseHostname of the Gateway API: no wildcards, lower case.
const precise = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** Our Service's own name where the certificate is good for one, the longest that every gateway knows first; else its first name. */
function hostnameOf(
  leaf: X509Certificate,
  { name, namespace }: { readonly namespace: string; readonly name: string },
): string | undefined {
  const names = (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((one) => one.startsWith('DNS:'))
    .map((one) => one.slice('DNS:'.length).toLowerCase())
    .filter((one) => one.length <= 253)
  const ofService = `${name}.${namespace}.svc`
  const wanted = [
    ofService,
    ...names.filter((one) => one.startsWith(`${ofService}.`)),
    `${ofService}.cluster.local`,
    `${name}.${namespace}`,
    name,
    ...names,
  ]
  // Only names of the certificate's list: the subject's own counts no more (RFC 9525 §6.3).
  const good = (one: string): boolean => leaf.checkHost(one, { subject: 'never' }) !== undefined
  return names.length === 0 ? undefined : wanted.find((one) => precise.test(one) && good(one))
}

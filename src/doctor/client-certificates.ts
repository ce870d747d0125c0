import { intersectHostname } from '../policy/hostname.ts'
import { diagnosis, edit, fixedBy } from './diagnosis.ts'
import type { Diagnosis, Fix } from './diagnosis.ts'
import type { Path } from '../model/result.ts'
import type { Gateway, Listener } from './reach.ts'
import type { RuleSite } from './scene.ts'

/** A finding about something that serves many routes: it is told once. */
export interface Shared {
  /** What tells it from others. */
  readonly place: string
  readonly finding: Diagnosis
}

/** Policies that trust the client's certificate, at gateways that do not ask for one or take any (GEP-91). */
export const clientCertificates = (sites: readonly RuleSite[]): readonly Shared[] =>
  sites
    .filter(({ needs }) => needs?.clientCertificate === true)
    .flatMap((site) =>
      site.reach.flatMap(({ gateway, listeners }) =>
        gateway === undefined ? [] : ofGateway(site, gateway, listeners).map((finding) => sharedOf(gateway, finding)),
      ),
    )

const sharedOf = ({ manifest: { namespace, name } }: Gateway, finding: Diagnosis): Shared => ({
  place: `${namespace}/${name} ${finding.code} ${finding.path.join('.')}`,
  finding,
})

function ofGateway(site: RuleSite, gateway: Gateway, listeners: readonly Listener[]): readonly Diagnosis[] {
  const secure = listeners.filter(({ protocol }) => protocol === 'HTTPS' || protocol === 'TLS')
  const plain = listeners.find((one) => !secure.includes(one))
  const ports = [...new Set(secure.map(({ port }) => port))]
  return [
    ...(plain === undefined ? [] : [withoutTls(site, gateway, plain, secure[0])]),
    ...ports.flatMap((port) => validated(site, gateway, port)),
    ...secure.flatMap((one) => overlapping(site, gateway, one)),
  ]
}

function withoutTls(site: RuleSite, gateway: Gateway, listener: Listener, secure: Listener | undefined): Diagnosis {
  const { needs } = site
  const { manifest, object } = gateway
  const path = ['spec', 'listeners', object.spec.listeners.indexOf(listener)]
  const say = `policy ${needs?.policy} takes client certificates, and listener "${listener.name}" has no TLS to carry one`
  const mend = 'attach the route to an HTTPS listener only'
  const fix = fixedBy(secure === undefined ? madeSecure(path, listener) : attachedTo(site, gateway, secure))
  return diagnosis(manifest, { code: 'missing-frontend-validation', severity: 'warning', path, say, mend, ...fix })
}

/** The route's reference to the gateway, with the listener that has TLS. */
function attachedTo({ route }: RuleSite, { manifest }: Gateway, { name }: Listener): Fix | undefined {
  const index = route.object.spec.parentRefs.findIndex(
    (ref) => ref.name === manifest.name && (ref.namespace ?? route.manifest.namespace) === manifest.namespace,
  )
  if (index < 0) return undefined
  const path = ['spec', 'parentRefs', index, 'sectionName']
  return { kind: 'edit', changes: [{ object: route.manifest, path, value: name }] }
}

const madeSecure = (path: Path, { name, hostname }: Listener): Fix => {
  const tls = { certificateRefs: [{ name: 'tls' }] }
  const secured = { name, port: 443, protocol: 'HTTPS', ...(hostname === '' ? {} : { hostname }), tls }
  return edit(path, secured)
}

function validated({ needs }: RuleSite, { manifest, object }: Gateway, port: number): readonly Diagnosis[] {
  const { validation, place } = frontendOf(object.spec.tls?.frontend, port)
  const caCertificateRefs = [{ group: '', kind: 'ConfigMap', name: 'client-ca' }]
  if (validation === undefined) {
    const path = [...place, 'validation']
    const say = `policy ${needs?.policy} takes client certificates, and the gateway asks for none on port ${port}`
    const mend = 'say whose certificates are taken'
    const fix = edit(path, { caCertificateRefs, mode: 'AllowValidOnly' })
    return [diagnosis(manifest, { code: 'missing-frontend-validation', severity: 'warning', path, say, mend, fix })]
  }
  if (validation.mode !== 'AllowInsecureFallback') return []
  const path = [...place, 'validation', 'mode']
  const say = `the gateway lets connections with a missing or invalid certificate in on port ${port}, and policy ${needs?.policy} trusts certificates`
  const mend = 'take valid ones only'
  const fix = edit(path, 'AllowValidOnly')
  return [diagnosis(manifest, { code: 'insecure-frontend-validation', severity: 'error', path, say, mend, fix })]
}

type Frontend = NonNullable<Gateway['object']['spec']['tls']>['frontend']

/** What is said for a port replaces the default whole. */
function frontendOf(frontend: Frontend, port: number) {
  const index = frontend?.perPort.findIndex((one) => one.port === port) ?? -1
  return index < 0
    ? { validation: frontend?.default?.validation, place: ['spec', 'tls', 'frontend', 'default'] }
    : {
        validation: frontend?.perPort[index]?.tls?.validation,
        place: ['spec', 'tls', 'frontend', 'perPort', index, 'tls'],
      }
}

/** A client may use one HTTP/2 connection for every host that its certificate check covered (RFC 9113 §9.1.1). */
function overlapping({ needs }: RuleSite, { manifest, object }: Gateway, one: Listener): readonly Diagnosis[] {
  const { listeners } = object.spec
  const other = listeners
    .slice(0, 64)
    .find(
      (it) =>
        it !== one &&
        it.port === one.port &&
        intersectHostname(it.hostname.toLowerCase(), one.hostname.toLowerCase()) !== undefined,
    )
  if (other === undefined) return []
  const path = ['spec', 'listeners', listeners.indexOf(one), 'hostname']
  const say = `listeners "${one.name}" and "${other.name}" share port ${one.port} and hosts: a connection made for one may carry requests for the other, with the certificate that policy ${needs?.policy} trusts`
  const mend = 'give hosts with client certificates a port of their own'
  const taken = new Set(listeners.map(({ port }) => port))
  const free = Array.from({ length: taken.size + 1 }, (_, offset) => 8443 + offset).find((port) => !taken.has(port))
  const fix = edit(['spec', 'listeners', listeners.indexOf(one), 'port'], free)
  return [diagnosis(manifest, { code: 'overlapping-listeners', severity: 'warning', path, say, mend, fix })]
}

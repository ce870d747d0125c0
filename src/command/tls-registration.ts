import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { serviceTls } from '../registration/service-certificate.ts'
import type { ServiceTls } from '../registration/service-certificate.ts'
import type { Settings } from '../settings.ts'
import { readTls, watchTls } from '../transport/grpc/tls.ts'

/** What gateways are to be told of the TLS that we serve, as the files say. */
export interface TlsRegistration {
  /** Settles once the files were read for the first time, whatever came of it. */
  readonly read: Promise<void>
  /** Undefined where we serve none, or cannot say how it is to be checked. */
  readonly current: () => Extract<ServiceTls, { ok: true }>['value'] | undefined
  readonly close: () => void
}

export interface TlsRegistrationParts {
  readonly settings: Pick<Settings, 'tlsCert' | 'tlsKey' | 'tlsCa' | 'service'>
  /** Told after each change. */
  readonly onChange: () => void
  readonly warn: (sentence: string) => void
}

/** Reads the files of --tls-cert and --tls-ca, and again whenever one changes; what was good last stays until better comes. */
export function followTls({ settings, onChange, warn }: TlsRegistrationParts, intervalMillis = 1_000): TlsRegistration {
  const { tlsCert: certificate, tlsKey: key, tlsCa, service } = settings
  if (certificate === undefined || key === undefined) return none
  let current: ReturnType<TlsRegistration['current']>
  let told = ''
  let open = true
  const files = { certificate, key }
  const refuse = (why: string): void => {
    const still = current === undefined ? 'Gateways are not told' : 'Gateways are still told the former'
    const sentence = `${still} of the TLS that Gatehouse serves: ${why}.`
    if (sentence !== told) warn(sentence)
    told = sentence
  }
  const take = async (cert: Buffer): Promise<void> => {
    const authorities = tlsCa === undefined ? undefined : await readFile(tlsCa, 'utf8')
    const found = serviceTls({ chain: cert.toString('utf8'), authorities }, service)
    if (!open) return
    if (!found.ok) return refuse(found.say)
    told = ''
    if (JSON.stringify(current) === JSON.stringify(found.value)) return
    current = found.value
    onChange()
  }
  const unreadable = (cause: unknown): void => {
    // The listeners tell of a pair that does not fit.
    if (tlsCa !== undefined && cause instanceof Error && 'path' in cause) refuse(`${tlsCa} cannot be read`)
  }
  const again = (): void =>
    void readTls(files)
      .then(({ cert }) => take(cert))
      .catch(unreadable)
  const pair = watchTls(
    files,
    undefined,
    { changed: ({ cert }) => void take(cert).catch(unreadable), refused: () => undefined },
    intervalMillis,
  )
  if (tlsCa !== undefined) watchFile(tlsCa, { interval: intervalMillis, persistent: false }, again)
  return {
    read: readTls(files)
      .then(({ cert }) => take(cert))
      .catch(unreadable),
    current: () => current,
    close: () => {
      open = false
      pair.close()
      if (tlsCa !== undefined) unwatchFile(tlsCa, again)
    },
  }
}

const none: TlsRegistration = { read: Promise.resolve(), current: () => undefined, close: () => undefined }

import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'

/** Paths of PEM files. With a client CA, a client without a certificate of it is refused in the handshake. */
export interface TlsFiles {
  readonly certificate: string
  readonly key: string
  readonly clientCa?: string | undefined
}

/** What a TLS server is told of them; read whole and known to fit together. */
export interface TlsMaterial {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca?: Buffer
}

/** The same for every handshake. */
export const tlsPolicy = { minVersion: 'TLSv1.2', ALPNProtocols: ['h2'], handshakeTimeout: 10_000 } as const

/** Reads the files and tries them; rejects with one sentence that says which use of them fails. */
export async function readTls(files: TlsFiles): Promise<TlsMaterial> {
  const read = async (path: string): Promise<Buffer> => {
    try {
      return await readFile(path)
    } catch (cause) {
      throw new Error(`The TLS file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, { cause })
    }
  }
  const [cert, key, ca] = await Promise.all([
    read(files.certificate),
    read(files.key),
    files.clientCa === undefined ? undefined : read(files.clientCa),
  ])
  const material: TlsMaterial = { cert, key, ...(ca === undefined ? {} : { ca }) }
  if (ca !== undefined && !ca.includes('-----BEGIN'))
    throw new Error(`The client CA file ${files.clientCa} holds no PEM certificate.`)
  try {
    createSecureContext(material)
  } catch (cause) {
    // The message of OpenSSL names what is wrong and quotes nothing of the files.
    throw new Error(`The certificate ${files.certificate} cannot be used with its key (${(cause as Error).message}).`, {
      cause,
    })
  }
  return material
}

/** Where new material or the reason why there is none goes to. */
export interface TlsWatcher {
  readonly changed: (material: TlsMaterial) => void
  /** The files changed and cannot be used (yet): the material in force stays. */
  readonly refused: (reason: Error) => void
}

/**
 * Reads the files again whenever one of them changes. By polling, because a mounted Secret changes by a swap of symbolic links;
 * certificate and key may change one after the other, and the pair counts once it fits. `inForce` is what was read before, if anything.
 */
export function watchTls(
  files: TlsFiles,
  inForce: TlsMaterial | undefined,
  watcher: TlsWatcher,
  intervalMillis = 1_000,
): { readonly close: () => void } {
  const paths = [files.certificate, files.key, ...(files.clientCa === undefined ? [] : [files.clientCa])]
  let open = true
  let known = inForce
  let complaint = ''
  const take = (material: TlsMaterial): void => {
    complaint = ''
    if (!open || sameMaterial(material, known)) return
    known = material
    watcher.changed(material)
  }
  const refuse = (reason: Error): void => {
    if (!open || reason.message === complaint) return
    complaint = reason.message
    watcher.refused(reason)
  }
  const reread = (): void => void readTls(files).then(take, refuse)
  for (const path of paths) watchFile(path, { interval: intervalMillis, persistent: false }, reread)
  // The watch knows of no change before its first look; by now that is over.
  const first = setTimeout(reread, intervalMillis).unref()
  return {
    close() {
      open = false
      clearTimeout(first)
      for (const path of paths) unwatchFile(path, reread)
    },
  }
}

const sameMaterial = (one: TlsMaterial, other: TlsMaterial | undefined): boolean =>
  other !== undefined &&
  one.cert.equals(other.cert) &&
  one.key.equals(other.key) &&
  (one.ca?.equals(other.ca ?? Buffer.alloc(0)) ?? other.ca === undefined)

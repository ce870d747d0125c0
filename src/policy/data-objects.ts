import { z } from 'zod'
import type { DataObject, DataRef } from '../authn/method.ts'
import { failed, fault, ok } from '../model/result.ts'
import type { Result } from '../model/result.ts'
import type { Manifest } from './manifest.ts'
import { parse } from './parse.ts'
import { suggestion } from './parse.ts'

const strings = z.record(z.string(), z.string()).default({})

const object = z.looseObject({
  metadata: z.looseObject({ labels: strings, annotations: strings }),
  data: strings,
  stringData: strings,
  binaryData: strings,
})

/** Reads a Secret or ConfigMap manifest; findings never hold a value. */
export function parseDataObject(manifest: Manifest): Result<DataObject> {
  const read = parse(object, manifest.object)
  if (!read.ok) return failed(read.findings)
  const { metadata, data, stringData, binaryData } = read.value
  const kind = manifest.kind === 'Secret' ? 'Secret' : 'ConfigMap'
  const encoded = kind === 'Secret' ? data : binaryData
  const plain = kind === 'Secret' ? stringData : data
  const broken = Object.entries(encoded).filter(([, value]) => !isBase64(value))
  if (broken.length > 0) {
    const at = kind === 'Secret' ? 'data' : 'binaryData'
    return failed(
      broken.map(([key]) =>
        fault(
          'bad-reference',
          [at, key],
          'is not base64',
          kind === 'Secret' ? 'plain text goes under stringData' : undefined,
        ),
      ),
    )
  }
  const entries = [
    ...Object.entries(encoded).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const),
    // A ConfigMap's data is text; a Secret's stringData overrides its data, as in the API server.
    ...Object.entries(plain).map(([key, value]) => [key, Buffer.from(value, 'utf8')] as const),
  ]
  return ok({
    kind,
    namespace: manifest.namespace,
    name: manifest.name,
    labels: new Map(Object.entries(metadata.labels)),
    annotations: new Map(Object.entries(metadata.annotations)),
    data: new Map(entries),
  })
}

const isBase64 = (text: string): boolean => {
  const bare = text.replace(/[\r\n]/g, '')
  return /^[A-Za-z0-9+/]*={0,2}$/.test(bare) && bare.length % 4 === 0
}

/** The Secrets and ConfigMaps of one source, looked up by namespace: a policy never sees another's (GHSA-fcrp). */
export interface DataObjects {
  readonly get: (kind: DataObject['kind'], namespace: string, name: string) => DataObject | undefined
  readonly read: (namespace: string, ref: DataRef, defaultKey: string) => Result<Uint8Array>
  readonly select: (namespace: string, labels: Readonly<Record<string, string>>) => readonly DataObject[]
}

/** Indexes the objects that could be read; what could not is absent, so that whoever refers to it denies. */
export function indexDataObjects(all: readonly DataObject[]): DataObjects {
  const objects = new Map(all.map((one) => [`${one.kind} ${one.namespace}/${one.name}`, one]))
  const secrets = Map.groupBy(
    all.filter(({ kind }) => kind === 'Secret'),
    ({ namespace }) => namespace,
  )
  const get: DataObjects['get'] = (kind, namespace, name) => objects.get(`${kind} ${namespace}/${name}`)
  return {
    get,
    read: (namespace, ref, defaultKey) => {
      const kind = ref.kind ?? 'Secret'
      const found = get(kind, namespace, ref.name)
      if (found === undefined) {
        const names = [...objects.values()]
          .filter((one) => one.kind === kind && one.namespace === namespace)
          .map((one) => one.name)
        const say = `there is no ${kind} ${namespace}/${ref.name}`
        return failed([fault('missing-reference', ['name'], say, suggestion(ref.name, names))])
      }
      const key = ref.key ?? defaultKey
      const bytes = found.data.get(key)
      const say = `${kind} ${namespace}/${ref.name} has no entry "${key}"`
      return bytes === undefined
        ? failed([fault('missing-reference', ['key'], say, suggestion(key, [...found.data.keys()]))])
        : ok(bytes)
    },
    select: (namespace, labels) =>
      (secrets.get(namespace) ?? []).filter((one) =>
        Object.entries(labels).every(([label, value]) => one.labels.get(label) === value),
      ),
  }
}

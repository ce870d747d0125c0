import { readObject } from './manifest-objects.ts'
import type { Objects } from './manifest-objects.ts'
import { readPlainYaml } from './plain-yaml.ts'

/** Reads the objects of a text that is plain YAML or JSON; undefined where `readYaml` has to. Both say the same of the same text. */
export function readPlainManifests(file: string, text: string): Objects | undefined {
  const documents = readPlainYaml(text)
  const parts = documents?.objects.flatMap((object, index) =>
    object === null ? [] : [readObject({ file, object, line: (path) => documents.line(index, path), prefix: [] })],
  )
  return (
    parts && {
      manifests: parts.flatMap(({ manifests }) => manifests),
      problems: parts.flatMap(({ problems }) => problems),
    }
  )
}

import type { Manifest } from '../../src/policy/manifest.ts'
import { readYaml } from '../../src/source/yaml-manifests.ts'

/** Manifests of a text, which has to be without a fault of its own. */
export function readManifests(yaml: string): readonly Manifest[] {
  const { manifests, problems } = readYaml('test.yaml', yaml)
  if (problems.length > 0) throw new Error(problems.map(({ say }) => say).join('; '))
  return manifests
}

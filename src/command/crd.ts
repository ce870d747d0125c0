import { stringify } from 'yaml'
import { authPolicyCrd } from '../registration/crd.ts'

/** The CustomResourceDefinition as YAML: what `gatehouse crd` prints and deploy/base/crd.yaml holds. */
export const crdYaml = (): string =>
  '# Made by `gatehouse crd` from src/policy/document.ts; a test keeps the two equal.\n' +
  stringify(authPolicyCrd(), { lineWidth: 0, aliasDuplicateObjects: false, singleQuote: true })

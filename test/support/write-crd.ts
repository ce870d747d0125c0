import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { crdYaml } from '../../src/command/crd.ts'

writeFileSync(resolve(import.meta.dirname, '../../deploy/base/crd.yaml'), crdYaml())

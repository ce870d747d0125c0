import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { needed } from '../../support/tools.ts'
import { record } from './recorder.ts'

/* `node test/transport/grpc/write-recorded.ts` keeps what Envoy sends, for tests that run without one. */

const { version } = await needed('envoy')
const checks = (await record()).map(({ bytes, ...rest }) => ({ ...rest, bytes: bytes.toString('base64') }))
const folder = join(import.meta.dirname, 'recorded')
await mkdir(folder, { recursive: true })
await writeFile(join(folder, 'envoy.json'), `${JSON.stringify({ version, checks }, null, 2)}\n`)
process.exit(0) // grpc-js keeps a timer of the connections that Envoy left

import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { freePorts, listening, startProgram } from '../../support/program.ts'
import { basic, send } from '../../support/send.ts'
import { wire } from './raw.ts'

const root = resolve(import.meta.dirname, '../../..')
const few = 'ulimit -n 256; exec "$0" "$@"'

it('DOS-12 out of file descriptors, accepting pauses and comes back; the process lives on', async () => {
  const [http = 0, admin = 0] = await freePorts(2)
  const listeners = [
    '--grpc-listen=off',
    '--matching-listen=off',
    `--http-listen=127.0.0.1:${http}`,
    `--admin-listen=127.0.0.1:${admin}`,
  ]
  const gatehouse = await startProgram({
    tool: { command: '/bin/sh', env: process.env },
    cwd: root,
    args: ['-c', few, process.execPath, 'src/main.ts', 'serve', 'policies', '--drain-wait=0', ...listeners],
    ready: async (_, signal) => {
      await listening(http, signal)
      await listening(admin, signal)
    },
  })
  const staff = {
    port: http,
    host: 'localhost',
    path: '/v1/check/intranet/wiki/pages/-/',
    headers: [['Authorization', basic('ada', 'analytical-engine')]],
  } as const
  const status = async (): Promise<number> => (await send(staff)).status
  try {
    await expect.poll(status, { timeout: 15_000, interval: 200 }).toBe(200) // its threads run
    const held = await Promise.all(Array.from({ length: 600 }, () => wire(http)))
    await expect.poll(() => held.filter((one) => one.ended()).length, { timeout: 5_000 }).toBeGreaterThan(300)
    for (const one of held) one.close()
    await expect.poll(status, { timeout: 15_000, interval: 200 }).toBe(200)
    expect((await send({ port: admin, path: '/healthz' })).status).toBe(200)
  } finally {
    await gatehouse.stop()
  }
}, 60_000)

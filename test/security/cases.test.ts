import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

/* Every case of the security catalogue (cases.txt) is named by a test, or stands here with the part that it waits for. */

const later: Readonly<Record<string, readonly string[]>> = {
  'DPoP (RFC 9449)': [
    ...Array.from({ length: 20 }, (_, n) => `DPP-${String(n + 2).padStart(2, '0')}`),
    'DPP-25',
    'DPP-26',
    'DPP-27',
  ],
  'certificate-bound tokens and client certificates (RFC 8705)': ['MTL-02', 'MTL-03', 'MTL-04', 'MTL-05'],
  'shared state in Redis': ['REL-08', 'REL-35'],
  'resource metadata and step-up (RFC 9728, RFC 9470)': ['CHL-06', 'CHL-07', 'CHL-08'],
  'quotas of a namespace': ['CFG-11'],
  'a soak of hours': ['DOS-22'],
}

const here = import.meta.dirname
const cases = readFileSync(join(here, 'cases.txt'), 'utf8').split(/\s+/).filter(Boolean)
const root = resolve(here, '..')
const texts = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !name.endsWith('cases.test.ts'))
  .map((name) => readFileSync(join(root, name), 'utf8'))
const named = new Set(texts.flatMap((text) => text.match(/\b[A-Z0-9]{2,4}-\d{2}\b/g) ?? []))

it('every case is named by a test or left for later, and none is both', () => {
  const left = Object.values(later).flat()
  expect(cases.length).toBe(294)
  expect(cases.filter((id) => !named.has(id) && !left.includes(id))).toEqual([])
  expect(left.filter((id) => named.has(id) || !cases.includes(id))).toEqual([])
})

import { createRequire } from 'node:module'
import type * as Cel from '@bufbuild/cel'
import { once } from '../model/memo.ts'

/** Loaded with the first expression that is more than a member's name: its parser and its types take a tenth of a start. */
export const library = once(() => createRequire(import.meta.url)('@bufbuild/cel') as typeof Cel)

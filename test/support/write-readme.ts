import { readFileSync, writeFileSync } from 'node:fs'
import { withGeneratedParts } from './readme.ts'

writeFileSync('README.md', withGeneratedParts(readFileSync('README.md', 'utf8')))

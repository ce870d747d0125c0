import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

/* For `node --import`: at its end the process writes the packages that it loaded modules of to the file named in LOADED_PACKAGES. */

const loaded = new Set<string>()
registerHooks({
  load(url, context, next) {
    const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]
    if (name !== undefined) loaded.add(name)
    return next(url, context)
  },
})
process.on('exit', () => {
  const file = process.env['LOADED_PACKAGES']
  if (file !== undefined) writeFileSync(file, JSON.stringify([...loaded].toSorted()))
})

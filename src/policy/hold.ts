/** Holds something; what is given back lets go of it, once. */
export type Hold = () => () => void

/** Held by several: begins with the first, and ends with the last that lets go. */
export function sharedHold(begin: Hold): Hold {
  let holders = 0
  let end: () => void = () => undefined
  return () => {
    if (holders === 0) end = begin()
    holders += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      holders -= 1
      if (holders === 0) end()
    }
  }
}

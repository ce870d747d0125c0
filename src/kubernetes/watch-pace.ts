/** How soon a watch does what, all in milliseconds. */
export interface Pace {
  /** Between two lists of a kind. */
  readonly relist: number
  readonly firstRetry: number
  /** Between attempts while the server is away: it must be found again within 5 s of its return. */
  readonly lastRetry: number
  /** For which a kind has to be refused before that is believed: a server that starts says no to much. */
  readonly confirm: number
  /** For which a kind that had objects has to be unknown to the server before they are forgotten. */
  readonly farewell: number
  /** Between looks for a definition that is not there. */
  readonly probe: number
  /** After which a silent watch is opened anew: bookmarks come every minute. */
  readonly quiet: number
}

/** For a server of any size; tests are in more of a hurry. */
export const defaultPace: Pace = {
  relist: 1000,
  firstRetry: 200,
  lastRetry: 3000,
  confirm: 1000,
  farewell: 5000,
  probe: 10_000,
  quiet: 90_000,
}

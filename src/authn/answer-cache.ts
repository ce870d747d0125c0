import { z } from 'zod'

/** What `cache` of a method that asks others says of itself. */
interface AnswerCache {
  readonly seconds: number
  /** What is seen so late. */
  readonly late: string
  readonly refusals: string
}

/** The block that says how long answers of others are believed, in seconds; 0 asks every time. */
export const answerCache = ({ seconds, late, refusals }: AnswerCache) =>
  z
    .strictObject({
      seconds: z.int().min(0).max(300).default(seconds).describe(`How long an answer is believed: ${late}`),
    })
    .default({ seconds })
    .describe(`How long answers are kept. ${refusals}`)

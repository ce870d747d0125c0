// Loaded with the thread, so that the first check does not wait for it.
import '@node-rs/argon2'
import '@node-rs/bcrypt'
import { verifyPassword } from './password/index.ts'

/** What a worker thread is sent. */
export interface PasswordTask {
  readonly password: string
  readonly hash: string
}

/** The whole work of a password thread: one check at a time. */
export const verify = ({ password, hash }: PasswordTask): boolean => verifyPassword(password, hash)

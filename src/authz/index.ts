import { cel } from './cel.ts'
import { claims } from './claims.ts'
import { kubernetes } from './kubernetes.ts'
import { scopes } from './scopes.ts'

/** Every kind of condition. To add one: write its file, add it here. */
export const conditions = { scopes, claims, cel, kubernetes } as const

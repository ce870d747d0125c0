import { apiKey } from './api-key.ts'
import { basic } from './basic.ts'
import { introspection } from './introspection.ts'
import { jwt } from './jwt.ts'
import { kubernetesToken } from './kubernetes-token.ts'

/** Every way to authenticate. To add one: write its file, add it here and in the policy document's blocks. */
export const methods = { basic, jwt, introspection, apiKey, kubernetesToken } as const

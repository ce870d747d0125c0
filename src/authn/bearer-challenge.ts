import type { ChallengeError } from './method.ts'

/** What can stand in a quoted-string without escapes (RFC 9110 §5.6.4): realms have to be of this form. */
export const realmForm = /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,128}$/

const scopeForm = /^[\x21\x23-\x5b\x5d-\x7e]+$/ // RFC 6749 §3.3

/** The `WWW-Authenticate` value for bearer tokens (RFC 6750 §3); the same words whatever was wrong with the token. */
export function bearerChallenge(realm: string, error: ChallengeError): string {
  const challenge = `Bearer realm="${realm}"`
  switch (error.kind) {
    case 'none': // §3.1: no error code for who presented nothing
      return challenge
    case 'invalid-request':
      return `${challenge}, error="invalid_request", error_description="Send one token in one place"`
    case 'invalid-token':
      return `${challenge}, error="invalid_token", error_description="The token is not valid here"`
    case 'insufficient-scope': {
      const scopes = error.scopes.filter((scope) => scopeForm.test(scope)).join(' ')
      return `${challenge}, error="insufficient_scope"${scopes === '' ? '' : `, scope="${scopes}"`}`
    }
  }
}

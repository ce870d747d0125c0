/** A rule that the API server evaluates (x-kubernetes-validations). */
export interface CelRule {
  readonly rule: string
  readonly message: string
}

/** What a part of the document gets beside what its own schema says. */
export interface Addition {
  readonly rules?: readonly CelRule[]
  /** Further keywords of the schema, where CEL cannot say it. */
  readonly keywords?: Readonly<Record<string, unknown>>
}

const counted = (keys: readonly string[]): string => keys.map((key) => `(has(self.${key}) ? 1 : 0)`).join(' + ')

const exactlyOne = (keys: readonly string[]): CelRule => ({
  rule: `${counted(keys)} == 1`,
  message: `has exactly one of ${keys.join(', ')}`,
})

/**
 * Where the document's refinements stand, by the end of their path (`[]` is "of each entry"), as rules that the API server
 * can check. The keys are those that the part has, so that a new method or condition takes part without a line here.
 */
const additions: Readonly<Record<string, (keys: readonly string[]) => Addition>> = {
  spec: () => ({
    keywords: { description: 'Who may pass, and how the backend learns who it was.' },
    rules: [
      {
        rule: '(has(self.authentication) && size(self.authentication) > 0) || has(self.guest)',
        message: 'nobody could ever pass: name a method, or guest to let everybody in',
      },
    ],
  }),
  'spec.authentication': () => ({
    rules: [
      {
        rule: 'self.all(one, !has(one.name) || self.exists_one(other, has(other.name) && other.name == one.name))',
        message: 'gives each entry a name of its own',
      },
    ],
  }),
  'spec.authentication[]': (keys) => ({ rules: [exactlyOne(keys.filter((key) => key !== 'name'))] }),
  'spec.authorization[]': (keys) => ({ rules: [exactlyOne(keys)] }),
  'spec.response.headers[].value': (keys) => ({ rules: [exactlyOne(keys)] }),
  'spec.unauthenticated': () => ({
    rules: [
      { rule: "(self.respond == 'Redirect') == has(self.location)", message: 'location goes with respond: Redirect' },
    ],
  }),
  'spec.unauthenticated.location': () => ({ keywords: { pattern: '^https?://' } }),
  jwks: (keys) => ({ rules: [exactlyOne(keys)] }),
  keysRef: (keys) => ({ rules: [exactlyOne(keys)] }),
  'keysRef.selector': () => ({ keywords: { minProperties: 1 } }),
  'credential[]': (keys) => ({
    rules: [
      exactlyOne(keys.filter((key) => key !== 'scheme')),
      { rule: '!has(self.scheme) || has(self.header)', message: 'has a scheme only with a header' },
    ],
  }),
  kubernetesToken: () => ({ keywords: { description: "Tokens of the cluster's own accounts (TokenReview)." } }),
  'authorization[].kubernetes': () => ({
    keywords: { description: "The cluster's RBAC lets the user do that (SubjectAccessReview)." },
    rules: [
      exactlyOne(['resource', 'path']),
      {
        // `namespace` is a word of CEL's own.
        rule: '!has(self.path) || !(has(self.group) || has(self.subresource) || has(self.name) || has(self.__namespace__))',
        message: 'has group, subresource, name and namespace only with a resource',
      },
    ],
  }),
  jwt: () => ({ keywords: { description: 'Signed tokens of an issuer (RFC 7519, RFC 9068).' } }),
  apiKey: () => ({
    keywords: { description: 'Random secrets that name their owner.' },
    rules: [{ rule: '!(has(self.header) && has(self.credential))', message: 'has header or credential, not both' }],
  }),
  introspection: () => ({
    keywords: { description: 'Tokens that the authorization server is asked about (RFC 7662).' },
    rules: [
      { rule: 'has(self.endpoint) || has(self.issuer)', message: 'has endpoint or issuer, or both' },
      { rule: '!has(self.signed) || has(self.issuer)', message: 'has issuer where answers are signed' },
    ],
  }),
  'introspection.client': () => ({
    rules: [
      exactlyOne(['id', 'idRef']),
      {
        rule: "has(self.keyRef) == (has(self.method) && self.method == 'private_key_jwt')",
        message: 'has keyRef with method: private_key_jwt, and only then',
      },
      {
        rule: "has(self.secretRef) == !(has(self.method) && self.method == 'private_key_jwt')",
        message: 'has secretRef with client_secret_basic and client_secret_post, and only then',
      },
    ],
  }),
  // Values of any type have no type in a structural schema, and what has no type CEL does not see.
  'claims[]': (keys) => ({
    keywords: { oneOf: keys.filter((key) => key !== 'path').map((key) => ({ required: [key] })) },
  }),
}

/** What is added at a path of the document (`spec.authentication[].jwt`), given the keys that the part has. */
export function additionAt(path: string, keys: readonly string[]): Addition {
  const found = Object.entries(additions).filter(([end]) => path === end || path.endsWith(`.${end}`))
  const all = found.map(([, add]) => add(keys))
  return {
    rules: all.flatMap(({ rules = [] }) => rules),
    keywords: Object.assign({}, ...all.map(({ keywords = {} }) => keywords)) as Readonly<Record<string, unknown>>,
  }
}

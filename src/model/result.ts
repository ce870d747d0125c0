/** The outcome of something that may be refused for reasons worth telling, all of them at once. */
export type Result<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly findings: readonly Finding[] }

/** Where inside an object: keys and list positions, outermost first, e.g. `['spec', 'targetRefs', 0, 'name']`. */
export type Path = readonly (string | number)[]

/** `error` makes what it names deny; `warning` is a weakness that still works; `note` is worth knowing. */
export type Severity = 'error' | 'warning' | 'note'

/** Every kind of thing that can be wrong with what an operator wrote. A closed set: the README's table is held to it. */
export type ProblemCode = keyof typeof problemCodes

/** What each problem code means, for the README and for `--help`. */
export const problemCodes = {
  'unreadable-source': 'a directory or file cannot be read',
  'bad-yaml': 'a file is not valid YAML',
  'bad-document': 'a document is not a Kubernetes-style object',
  'unknown-kind': 'the apiVersion and kind name nothing that Gatehouse reads',
  'unknown-key': 'a key that the object does not have',
  'bad-value': 'a value of the wrong type or out of its range',
  'duplicate-object': 'two objects share kind, namespace and name',
  'duplicate-rule': 'two rules of a route share a name',
  'unknown-target': 'a policy targets a route, gateway, rule or listener that does not exist',
  conflict: 'two policies of one level target the same thing; the older one is in force',
  'missing-reference': 'a Secret, ConfigMap or key in one that does not exist',
  'bad-reference': 'a Secret or ConfigMap whose content cannot be used',
  'bad-password-line': 'a line of a password file that cannot be used',
  'weak-password-hash': 'a password format or cost that is too weak',
  'password-too-costly': 'a password hash that would cost more than one request may',
  'bad-key': 'a cryptographic or API key that cannot be used',
  'weak-key': 'a cryptographic key that is too weak',
  'bad-regex': 'a regular expression that cannot be compiled',
  'bad-cel': 'a CEL expression that cannot be compiled or costs too much',
  'forbidden-header': 'a header that no policy may set or remove',
  'insecure-url': 'an address that is not https, or that must not be called',
  'allows-everybody': 'a policy that lets every request through',
  'nothing-to-check': 'a policy or list that can never be satisfied',
  'no-cluster': 'a policy asks the Kubernetes API server, and there is none to ask',
  'missing-service': 'our own Service is not among what was listed; nothing is registered beside it',
  'missing-crd': 'a kind that the cluster does not know',
  'missing-field': 'a field of the Gateway API that the cluster does not know',
  'missing-permission': 'a kind that the API server does not let Gatehouse read',
  'api-unreachable': 'the API server cannot be followed; what was read last stays in force',
  'filter-not-supported': 'a GatewayClass that does not list the ExternalAuth filter among its features',
  'controller-ignores-filter': 'a gateway controller that is known not to honour the ExternalAuth filter',
  'route-not-accepted': 'a route with our filter that its gateway did not take as it is',
  'filter-without-policy': 'a rule asks Gatehouse and has no policy: it refuses everything',
  'policy-without-filter': 'a rule has a policy and does not ask Gatehouse: nothing is checked',
  'misplaced-filter': 'an ExternalAuth filter where gateways do not look for one',
  'repeated-filter': 'several ExternalAuth filters in one rule',
  'unprotectable-route': 'a route of a kind that cannot carry the filter, at a gateway with protected ones',
  'wrong-port': 'a filter asks a port that does not serve its kind of check',
  'wrong-protocol': 'a protocol that the port or the gateway does not speak',
  'missing-app-protocol': 'a Service port for gRPC that does not say that it speaks HTTP/2',
  'missing-grant': 'a filter asks a Service of another namespace without a ReferenceGrant',
  'missing-path': 'a filter without http.path: its rule is found by matching, or not at all',
  'foreign-path': "an http.path that is not the rule's own key",
  'unnamed-rule': 'a rule without a name asks Gatehouse',
  'empty-response-headers':
    'an empty allowedResponseHeaders, by which gateways copy content-length (request smuggling)',
  'unsafe-response-header': 'allowedResponseHeaders lists a header that frames or routes the message',
  'missing-response-header': 'a header that the policy sets and the filter does not pass on',
  'missing-request-header': 'a header that the policy or matching reads and the gateway does not send',
  'computed-request-header':
    'an expression computes the name of a header, so nobody can tell what the gateway has to send',
  'matched-injected-header': 'a header that the policy sets decides between rules of the same route',
  'matched-removal': 'a header or query parameter that the policy removes decides between rules of the same route',
  'overwritten-header': 'another filter changes a header that the policy sets',
  'header-not-removed': 'a header that the policy removes and the gateway passes on',
  'query-not-removed': 'a query parameter that the policy removes, through a filter that cannot be told to',
  'shadowed-rule': 'an open rule matches what a protected one does',
  'missing-frontend-validation': 'a policy takes client certificates and the gateway asks for none',
  'insecure-frontend-validation': 'a policy takes client certificates and the gateway lets invalid ones in',
  'overlapping-listeners': 'a connection with a client certificate can be used for hosts of another listener',
  'untrusted-gateway': 'a gateway tells requests in headers, and its address is not trusted',
  'short-timeout': 'a gateway stops waiting before Gatehouse has to answer',
  'answer-not-passed': 'an answer that the gateway does not pass on to the client',
  'forwarded-body': 'a filter forwards request bodies, which nobody reads',
  'too-large': 'more bytes, entries or depth than Gatehouse takes',
} as const

/** Something wrong (or weak) in a part of an object; the path starts at the part that was given. */
export interface Finding {
  readonly code: ProblemCode
  readonly severity: Severity
  readonly path: Path
  /** One sentence: what is wrong. Never holds a secret. */
  readonly say: string
  /** One sentence: what to write instead. */
  readonly mend?: string
}

/** A finding with its whole address: what an operator is shown. */
export interface Problem extends Finding {
  /** `AuthPolicy shop/cart-pay`, or absent where a file holds no readable object. */
  readonly object?: string
  /** Path of the file, relative to the policy directory. */
  readonly file?: string
  /** Line in that file, from 1. */
  readonly line?: number
}

export const ok = <T>(value: T): Result<T> => ({ ok: true, value })

export const failed = (findings: readonly Finding[]): Result<never> => ({ ok: false, findings })

/** An `error` finding; `path` is relative to the part under examination. */
export const fault = (code: ProblemCode, path: Path, say: string, mend?: string): Finding => ({
  code,
  severity: 'error',
  path,
  say: clipped(say, 1000),
  ...(mend === undefined ? {} : { mend }),
})

// Findings quote what strangers wrote: a megabyte of it is neither to be read nor to be logged.
const clipped = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most)}…` : text)

/** A `warning` finding: the object still works. */
export const weakness = (code: ProblemCode, path: Path, say: string, mend?: string): Finding => ({
  ...fault(code, path, say, mend),
  severity: 'warning',
})

/** The same finding, seen from further out. */
export const under = (prefix: Path, finding: Finding): Finding => ({ ...finding, path: [...prefix, ...finding.path] })

/** `spec.targetRefs[0].name`, as `kubectl explain` and jq users write it. */
export function showPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    const key = clipped(step, 100)
    const plain = /^[A-Za-z_][\w-]*$/.test(key)
    return plain ? (text === '' ? key : `${text}.${key}`) : `${text}["${key}"]`
  }, '')
}

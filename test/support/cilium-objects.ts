/* The few fields of Gateway API objects that the translator of the tests reads. */

/** What it needs of any object. */
export interface Meta {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly generation?: number
  readonly creationTimestamp: string
}

/** A listener of a Gateway. */
export interface GatewayListener {
  readonly name: string
  readonly port: number
  readonly protocol: string
  readonly hostname?: string
  readonly allowedRoutes?: { readonly namespaces?: { readonly from?: string } }
}

/** A Gateway, or a ListenerSet that its Gateway admits: both have listeners, and routes name either as their parent. */
export interface GatewayObject {
  readonly kind: 'Gateway' | 'ListenerSet'
  readonly metadata: Meta
  readonly spec: {
    readonly gatewayClassName?: string
    readonly allowedListeners?: { readonly namespaces?: { readonly from?: string } }
    readonly parentRef?: Reference
    readonly listeners: readonly GatewayListener[]
  }
}

/** One object by its name, as Gateway API refers to it. */
export interface Reference {
  readonly group?: string
  readonly kind?: string
  readonly namespace?: string
  readonly name: string
  readonly port?: number
}

/** The Gateway that a route attaches to. */
export interface ParentRef extends Reference {
  readonly sectionName?: string
}

/** A header or query parameter of a match. */
export interface ValueMatch {
  readonly type?: string
  readonly name: string
  readonly value: string
}

/** One of the matches of a rule. */
export interface RouteMatch {
  readonly path?: { readonly type?: string; readonly value?: string }
  readonly method?: string
  readonly headers?: readonly ValueMatch[]
  readonly queryParams?: readonly ValueMatch[]
}

/** The filter that this is about. */
export interface ExternalAuth {
  readonly protocol: 'HTTP' | 'GRPC'
  readonly backendRef: Reference
  readonly http?: {
    readonly path?: string
    readonly allowedHeaders?: readonly string[]
    readonly allowedResponseHeaders?: readonly string[]
  }
  readonly grpc?: { readonly allowedHeaders?: readonly string[] }
  readonly forwardBody?: { readonly maxSize?: number }
}

/** The CORS filter. */
export interface Cors {
  readonly allowOrigins?: readonly string[]
  readonly allowMethods?: readonly string[]
  readonly allowHeaders?: readonly string[]
}

/** A rule of an HTTPRoute. */
export interface RouteRule {
  readonly matches?: readonly RouteMatch[]
  readonly filters?: readonly { readonly type: string; readonly externalAuth?: ExternalAuth; readonly cors?: Cors }[]
  readonly backendRefs?: readonly Reference[]
}

/** An HTTPRoute. */
export interface RouteObject {
  readonly metadata: Meta
  readonly spec: {
    readonly parentRefs?: readonly ParentRef[]
    readonly hostnames?: readonly string[]
    readonly rules?: readonly RouteRule[]
  }
}

/** A Service, whose target ports are ports of this machine. */
export interface ServiceObject {
  readonly metadata: Meta
  readonly spec: {
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly targetPort?: number | string }[]
  }
}

/** A ReferenceGrant. */
export interface GrantObject {
  readonly metadata: Meta
  readonly spec: {
    readonly from: readonly { readonly kind: string; readonly namespace: string }[]
    readonly to: readonly { readonly kind: string; readonly name?: string }[]
  }
}

/** A BackendTLSPolicy. */
export interface TlsPolicyObject {
  readonly metadata: Meta
  readonly spec: {
    readonly targetRefs: readonly { readonly kind: string; readonly name: string; readonly sectionName?: string }[]
    readonly validation: {
      readonly hostname: string
      readonly caCertificateRefs?: readonly { readonly name: string }[]
    }
  }
}

/** A ConfigMap. */
export interface ConfigMapObject {
  readonly metadata: Meta
  readonly data?: Readonly<Record<string, string>>
}

/** What it looks at. */
export interface CiliumObjects {
  readonly tlsPolicies: readonly TlsPolicyObject[]
  readonly configMaps: readonly ConfigMapObject[]
  readonly gateways: readonly GatewayObject[]
  readonly routes: readonly RouteObject[]
  readonly services: readonly ServiceObject[]
  readonly grants: readonly GrantObject[]
}

/** What is known of a Gateway controller that bears on asking Gatehouse (read in the projects' sources: GATEWAYS.md §B). */
export interface Controller {
  /** The product, as people call it. */
  readonly name: string
  /**
   * What becomes of a rule with an ExternalAuth filter: `honoured`; `refused`, the rule answers errors or is not taken;
   * `ignored`, it may be served without any check.
   */
  readonly filter: 'honoured' | 'refused' | 'ignored'
  /** Protocols that its filter takes. */
  readonly protocols: readonly ('HTTP' | 'GRPC')[]
  /** Milliseconds that it waits for an answer, where it is known and no route can change it. */
  readonly timeouts: Readonly<Partial<Record<'HTTP' | 'GRPC', number>>>
  /** `called`: it calls exactly `http.path` and tells the request in headers; `appended`: the request's path comes behind it. */
  readonly path: 'appended' | 'called'
  /** It tells the request in headers, which are believed from `--trusted-proxies` only. */
  readonly tellsInHeaders: boolean
  /** It leaves out a rule whose auth backend cannot be used, so that its requests fall to a broader one (R12). */
  readonly dropsRules: boolean
  /** It passes a 302 of the auth service on to the client. */
  readonly passesRedirects: boolean
  /** Over HTTP it takes off the headers that Gatehouse names in `x-envoy-auth-headers-to-remove`. */
  readonly removesHeaders: boolean
  /** How it can ask Gatehouse where it does not know the filter. */
  readonly instead: string
  /** Folder of `deploy/gateways` with the YAML that works. */
  readonly guide: string
}

const honouring: Omit<Controller, 'name' | 'guide'> = {
  filter: 'honoured',
  protocols: ['HTTP', 'GRPC'],
  timeouts: {},
  path: 'appended',
  tellsInHeaders: false,
  dropsRules: false,
  passesRedirects: true,
  removesHeaders: true,
  instead: 'the ExternalAuth filter',
}

const agentgateway: Controller = {
  ...honouring,
  name: 'agentgateway',
  timeouts: { HTTP: 2000 },
  dropsRules: true,
  removesHeaders: false,
  guide: 'agentgateway',
}

const refusing = (name: string, guide: string, instead: string): Controller => ({
  ...honouring,
  name,
  guide,
  filter: 'refused',
  instead,
})

/** The controllers by the `controllerName` of their GatewayClass. Of others nothing is assumed. */
export const controllers: ReadonlyMap<string, Controller> = new Map([
  [
    'io.cilium/gateway-controller',
    // Its gRPC filter sets no timeout: Envoy's default.
    { ...honouring, name: 'Cilium', guide: 'cilium', timeouts: { HTTP: 10_000, GRPC: 200 } },
  ],
  [
    'gateway.nginx.org/nginx-gateway-controller',
    {
      ...honouring,
      name: 'NGINX Gateway Fabric',
      guide: 'nginx-gateway-fabric',
      protocols: ['HTTP'],
      timeouts: { HTTP: 60_000 },
      path: 'called',
      tellsInHeaders: true,
      passesRedirects: false,
      removesHeaders: false,
    },
  ],
  ['agentgateway.dev/agentgateway', agentgateway],
  ['kgateway.dev/agentgateway', agentgateway],
  ['istio.io/agentgateway-controller', { ...agentgateway, name: 'Istio with agentgateway', guide: 'istio' }],
  [
    'kind.sigs.k8s.io/gateway-controller',
    { ...honouring, name: 'cloud-provider-kind', guide: 'cloud-provider-kind', timeouts: { HTTP: 5000, GRPC: 5000 } },
  ],
  [
    'gateway.envoyproxy.io/gatewayclass-controller',
    refusing('Envoy Gateway', 'envoy-gateway', 'a SecurityPolicy with extAuth'),
  ],
  [
    'istio.io/gateway-controller',
    refusing('Istio with Envoy', 'istio', 'an AuthorizationPolicy of action CUSTOM, or the class istio-agentgateway'),
  ],
  ['kgateway.dev/kgateway', refusing('kgateway', 'kgateway', 'a GatewayExtension with a TrafficPolicy')],
  [
    'traefik.io/gateway-controller',
    {
      ...refusing('Traefik', 'traefik', 'a forwardAuth Middleware in an ExtensionRef filter'),
      tellsInHeaders: true,
    },
  ],
  [
    'projectcontour.io/gateway-controller',
    {
      // It sets Accepted: False, goes on processing the route, and may serve it open.
      ...refusing('Contour', 'contour', 'an HTTPProxy with authorization'),
      filter: 'ignored',
    },
  ],
  [
    'microgateway.airlock.com/gatewayclass-controller',
    refusing('Airlock Microgateway', 'airlock-microgateway', 'its own custom resources'),
  ],
  ['networking.gke.io/gateway', refusing('GKE Gateway', 'gke', 'a GCPAuthzPolicy with an authorization extension')],
  ['konghq.com/kic-gateway-controller', refusing('Kong', '', 'a plugin of its own in an ExtensionRef filter')],
  ['konghq.com/gateway-operator', refusing('Kong', '', 'a plugin of its own in an ExtensionRef filter')],
  [
    'haproxy-ingress.github.io/controller',
    { ...refusing('HAProxy Ingress', '', 'its annotation auth-url'), filter: 'ignored' },
  ],
])

/** The product of a controller that is not known by its name, as an installation may choose another: that of its domain, where it has one only. */
export function kinOf(controllerName: string): Controller | undefined {
  const domain = controllerName.slice(0, controllerName.indexOf('/') + 1)
  const kin = [...controllers].flatMap(([name, one]) => (domain !== '' && name.startsWith(domain) ? [one] : []))
  return new Set(kin.map(({ name }) => name)).size === 1 ? kin[0] : undefined
}

import { z } from 'zod'

/*
 * The fields of cluster objects that registration and the doctor look at. Parsed leniently: an object that a newer API
 * writes differently loses the field, not the object. Decisions never depend on these (policy/gateway-api.ts is strict).
 */

const conditions = z
  .array(
    z.looseObject({
      type: z.string(),
      status: z.string(),
      reason: z.string().default(''),
      observedGeneration: z.number().optional(),
    }),
  )
  .catch([])

const parentRef = z.looseObject({
  group: z.string().default('gateway.networking.k8s.io'),
  kind: z.string().default('Gateway'),
  namespace: z.string().optional(),
  name: z.string(),
  sectionName: z.string().optional(),
  port: z.number().optional(),
})

const backendRef = z.looseObject({
  group: z.string().default(''),
  kind: z.string().default('Service'),
  namespace: z.string().optional(),
  name: z.string(),
  port: z.number().optional(),
})

const metadata = z.looseObject({
  uid: z.string().default(''),
  generation: z.number().default(0),
  resourceVersion: z.string().default(''),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  creationTimestamp: z.string().optional(),
})

const valueMatch = z.looseObject({ type: z.string().default('Exact'), name: z.string(), value: z.string() })

const routeMatch = z.looseObject({
  path: z
    .looseObject({ type: z.string().default('PathPrefix'), value: z.string().default('/') })
    .default({ type: 'PathPrefix', value: '/' }),
  method: z.string().optional(),
  headers: z.array(valueMatch).default([]),
  queryParams: z.array(valueMatch).default([]),
})

const externalAuth = z.looseObject({
  protocol: z.string(),
  backendRef,
  http: z
    .looseObject({
      path: z.string().optional(),
      allowedHeaders: z.array(z.string()).default([]),
      allowedResponseHeaders: z.array(z.string()).default([]),
    })
    .optional(),
  grpc: z.looseObject({ allowedHeaders: z.array(z.string()).default([]) }).optional(),
  forwardBody: z.looseObject({ maxSize: z.number().default(0) }).optional(),
})

const routeFilter = z.looseObject({ type: z.string(), externalAuth: externalAuth.optional().catch(undefined) })

const listeners = z
  .array(
    z.looseObject({
      name: z.string(),
      hostname: z.string().default(''),
      port: z.number(),
      protocol: z.string().default(''),
      allowedRoutes: z
        .looseObject({ namespaces: z.looseObject({ from: z.string().default('Same') }).optional() })
        .optional(),
    }),
  )
  .default([])

export const clusterKinds = {
  GatewayClass: z.looseObject({
    metadata,
    spec: z.looseObject({ controllerName: z.string() }),
    status: z
      .looseObject({
        conditions,
        // Older writers used plain strings.
        supportedFeatures: z
          .array(z.union([z.string(), z.looseObject({ name: z.string() }).transform(({ name }) => name)]))
          .optional(),
      })
      .catch({ conditions: [] })
      .default({ conditions: [] }),
  }),
  Gateway: z.looseObject({
    metadata,
    spec: z.looseObject({
      gatewayClassName: z.string(),
      defaultScope: z.string().optional(),
      listeners,
      allowedListeners: z
        .looseObject({ namespaces: z.looseObject({ from: z.string().default('None') }).optional() })
        .optional(),
      tls: z
        .looseObject({
          frontend: z
            .looseObject({
              default: z
                .looseObject({ validation: z.looseObject({ mode: z.string().optional() }).optional() })
                .optional(),
              perPort: z
                .array(
                  z.looseObject({
                    port: z.number(),
                    tls: z
                      .looseObject({ validation: z.looseObject({ mode: z.string().optional() }).optional() })
                      .optional(),
                  }),
                )
                .default([]),
            })
            .optional(),
          backend: z.looseObject({ clientCertificateRef: z.looseObject({ name: z.string() }).optional() }).optional(),
        })
        .optional(),
    }),
    status: z
      .looseObject({
        conditions,
        addresses: z.array(z.looseObject({ type: z.string().optional(), value: z.string() })).default([]),
      })
      .catch({ conditions: [], addresses: [] })
      .default({ conditions: [], addresses: [] }),
  }),
  ListenerSet: z.looseObject({ metadata, spec: z.looseObject({ parentRef, listeners }) }),
  HTTPRoute: z.looseObject({
    metadata,
    spec: z.looseObject({
      parentRefs: z.array(parentRef).default([]),
      useDefaultGateways: z.string().optional(),
      hostnames: z.array(z.string()).default([]),
      rules: z
        .array(
          z.looseObject({
            name: z.string().optional(),
            matches: z.array(routeMatch).default([]),
            filters: z.array(routeFilter).default([]),
            backendRefs: z.array(z.looseObject({ filters: z.array(routeFilter).default([]) })).default([]),
          }),
        )
        .default([]),
    }),
    status: z
      .looseObject({
        parents: z.array(z.looseObject({ parentRef, controllerName: z.string(), conditions })).default([]),
      })
      .catch({ parents: [] })
      .default({ parents: [] }),
  }),
  GRPCRoute: z.looseObject({
    metadata,
    spec: z.looseObject({ parentRefs: z.array(parentRef).default([]), hostnames: z.array(z.string()).default([]) }),
  }),
  ReferenceGrant: z.looseObject({
    metadata,
    spec: z.looseObject({
      from: z.array(z.looseObject({ group: z.string(), kind: z.string(), namespace: z.string() })),
      to: z.array(z.looseObject({ group: z.string(), kind: z.string(), name: z.string().optional() })),
    }),
  }),
  BackendTLSPolicy: z.looseObject({
    metadata,
    spec: z.looseObject({
      targetRefs: z.array(
        z.looseObject({
          group: z.string().default(''),
          kind: z.string(),
          name: z.string(),
          sectionName: z.string().optional(),
        }),
      ),
    }),
  }),
  XMesh: z.looseObject({ metadata, spec: z.looseObject({ controllerName: z.string() }) }),
  Service: z.looseObject({
    metadata,
    spec: z
      .looseObject({
        ports: z
          .array(
            z.looseObject({
              name: z.string().default(''),
              port: z.number(),
              protocol: z.string().default('TCP'),
              appProtocol: z.string().optional(),
              targetPort: z.union([z.number(), z.string()]).optional(),
            }),
          )
          .default([]),
      })
      .default({ ports: [] }),
  }),
  Namespace: z.looseObject({ metadata }),
} as const

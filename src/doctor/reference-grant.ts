import { gatewayGroup } from '../policy/document.ts'

/** Objects of a kind in one namespace that ask a Service of another. */
export interface Crossing {
  readonly group: string
  readonly kind: string
  readonly from: string
  readonly service: { readonly namespace: string; readonly name: string }
  /** Tells its grant from those of other kinds. */
  readonly vendor?: string
}

/** The ReferenceGrant that lets them. */
export const referenceGrant = ({ group, kind, from, service, vendor }: Crossing): object => ({
  apiVersion: `${gatewayGroup}/v1beta1`,
  kind: 'ReferenceGrant',
  metadata: {
    namespace: service.namespace,
    name: `gatehouse-${vendor === undefined ? '' : `${vendor}-`}${from}`.slice(0, 253),
  },
  spec: {
    from: [{ group, kind, namespace: from }],
    to: [{ group: '', kind: 'Service', name: service.name }],
  },
})

export const authorizationService = 'envoy.service.auth.v3.Authorization'
export const healthService = 'grpc.health.v1.Health'

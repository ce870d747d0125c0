# syntax=docker/dockerfile:1

# Built with everything, run with nothing but Node and the compiled package.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# The `node` development dependency is a second copy of what this image already is.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
COPY protos ./protos
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
LABEL org.opencontainers.image.title="Gatehouse" \
      org.opencontainers.image.description="External authorization service for the Kubernetes Gateway API" \
      org.opencontainers.image.licenses="Apache-2.0"
# Package managers have no place in an image that guards things.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn*
WORKDIR /gatehouse
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY --from=build /build/protos ./protos
ENV NODE_ENV=production
USER 65532:65532
EXPOSE 9001 9002 9003
# Nothing is written: run with --read-only and it works the same.
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9004/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/gatehouse/dist/main.js"]
CMD ["serve", "/policies"]

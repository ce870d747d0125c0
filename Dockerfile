# syntax=docker/dockerfile:1

# Built with everything, run with nothing but Node and the compiled package.
FROM node:24.21.0-bookworm-slim AS build
# Where the image has it: what V8 compiled is known by its path.
WORKDIR /gatehouse
COPY package.json package-lock.json ./
# The `node` development dependency is a second copy of what this image already is.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
COPY protos ./protos
COPY deploy/bundle.ts deploy/start-packages.ts ./deploy/
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# What V8 compiles for a start is kept, by the user that it is for, in files that this user can only read.
RUN mkdir -p node_modules/.cache/gatehouse && chown 65532:65532 node_modules/.cache/gatehouse
COPY policies ./policies
USER 65532:65532
RUN timeout --signal=TERM --preserve-status 5 dist/main.js serve policies --drain-wait=0 --drain-grace=1
USER 0:0
RUN chown -R 0:0 node_modules/.cache && chmod -R u=rwX,go=rX node_modules/.cache

FROM node:24.21.0-bookworm-slim
LABEL org.opencontainers.image.title="Gatehouse" \
      org.opencontainers.image.description="External authorization service for the Kubernetes Gateway API" \
      org.opencontainers.image.licenses="Apache-2.0"
# Package managers have no place in an image that guards things.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn*
WORKDIR /gatehouse
COPY --from=build /gatehouse/package.json ./
COPY --from=build /gatehouse/node_modules ./node_modules
COPY --from=build /gatehouse/dist ./dist
COPY --from=build /gatehouse/protos ./protos
ENV NODE_ENV=production
USER 65532:65532
EXPOSE 9001 9002 9003
# Nothing is written: run with --read-only and it works the same.
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9004/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/gatehouse/dist/main.js"]
CMD ["serve", "/policies"]

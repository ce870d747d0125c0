import { caddy } from './caddy.ts'
import { check } from './check.ts'
import type { Dialect, HttpVia } from './dialect.ts'
import { haproxy } from './haproxy.ts'
import { matching } from './matching.ts'
import { nginx } from './nginx.ts'
import { ngf } from './ngf.ts'
import { traefik } from './traefik.ts'

/** Every dialect by its name in the path; `matching` has a port of its own. */
export const dialects: Readonly<Record<HttpVia, Dialect>> = { check, matching, nginx, traefik, caddy, haproxy, ngf }

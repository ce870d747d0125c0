import { describe } from 'vitest'
import { dialectSuite } from '../../contract/dialect.ts'
import type { Expectations } from '../../contract/dialect.ts'
import type { DialectName } from '../../../src/transport/http/dialect.ts'

const hops = ['X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: https']
const gatehouse = 'Host: 127.0.0.1:9002'

/** How each real gateway asks (GATEWAYS.md §D and deploy/proxies), and what it can be told. */
const expectations: Readonly<Record<DialectName, Expectations>> = {
  check: {
    ask: ({ method, target, host, fields }, rule) => [
      `${method} /v1/check/shop/cart/${rule}/-${target} HTTP/1.1`,
      `Host: ${host}`,
      'content-length: 0',
      ...hops,
      ...fields,
    ],
    carriers: [],
    malformed: 400,
    login: 302,
    removals: 'named',
    hops: true,
  },
  nginx: {
    ask: ({ method, target, host, fields }, rule) => [
      `GET /v1/nginx/shop/cart/${rule} HTTP/1.1`,
      `Host: ${host}`,
      `X-Original-Method: ${method}`,
      `X-Original-URI: ${target}`,
      ...hops,
      ...fields,
    ],
    carriers: ['x-original-method', 'x-original-uri'],
    malformed: 403,
    login: 401,
    removals: 'left-out',
    hops: true,
  },
  haproxy: {
    ask: ({ method, target, host, fields }, rule) => [
      `GET /v1/haproxy/shop/cart/${rule} HTTP/1.1`,
      `host: ${host}`,
      `x-original-method: ${method}`,
      `x-original-uri: ${target}`,
      ...hops,
      ...fields,
    ],
    carriers: ['x-original-method', 'x-original-uri'],
    malformed: 400,
    login: 302,
    removals: 'left-out',
    hops: true,
  },
  traefik: {
    ask: ({ method, target, host, fields }, rule) => [
      `GET /v1/traefik/shop/cart/${rule} HTTP/1.1`,
      gatehouse,
      ...fields,
      `X-Forwarded-Method: ${method}`,
      `X-Forwarded-Uri: ${target}`,
      `X-Forwarded-Host: ${host}`,
      'X-Forwarded-Port: 443',
      ...hops,
    ],
    carriers: ['x-forwarded-method', 'x-forwarded-uri', 'x-forwarded-host'],
    malformed: 400,
    login: 302,
    removals: 'left-out',
    hops: true,
  },
  caddy: {
    ask: ({ method, target, host, fields }, rule) => [
      `GET /v1/caddy/shop/cart/${rule}?${target.split('?')[1] ?? ''} HTTP/1.1`,
      `Host: ${host}`,
      ...fields,
      `X-Forwarded-Method: ${method}`,
      `X-Forwarded-Uri: ${target}`,
      `X-Forwarded-Host: ${host}`,
      ...hops,
    ],
    carriers: ['x-forwarded-method', 'x-forwarded-uri', 'x-forwarded-host'],
    malformed: 400,
    login: 302,
    removals: 'left-out',
    hops: true,
  },
  ngf: {
    ask: ({ method, target, host, fields }, rule) => [
      `GET /v1/ngf/shop/cart/${rule} HTTP/1.1`,
      `Host: ${host}`,
      `Path: ${target}`,
      `Method: ${method}`,
      'X-Forwarded-For: 6.6.6.6',
      'X-Forwarded-Proto: https',
      ...fields,
    ],
    carriers: ['path', 'method'],
    malformed: 403,
    login: 401,
    removals: 'left-out',
    hops: false,
  },
}

for (const [name, promised] of Object.entries(expectations) as [DialectName, Expectations][]) {
  describe(name, () => dialectSuite(name, promised))
}

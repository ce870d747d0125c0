/** What every start loads. Packages that are loaded where something needs them are read from where they are installed, as ever. */
export const startPackages: readonly string[] = [
  '@grpc/grpc-js',
  '@js-sdsl/ordered-map',
  '@opentelemetry/api',
  'bintrees',
  'commander',
  'fastest-levenshtein',
  'jose',
  'js-yaml',
  'lru-cache',
  'prom-client',
  're2js',
  'tdigest',
  'zod',
]

/** What the first policy with an expression loads besides: in one file too, but one of its own. */
export const celPackages: readonly string[] = [
  '@bufbuild/cel',
  '@bufbuild/cel-spec',
  '@bufbuild/protobuf',
  '@bufbuild/re2',
]

import { expect, it } from 'vitest'
import { checkRequest, headerValue } from '../../../src/transport/grpc/check-fields.ts'
import type { Message } from '../../../src/transport/grpc/check-fields.ts'
import { find, typeOf, wireTypes } from '../../../src/transport/grpc/reference-scan.ts'
import type { FieldType, Scope } from '../../../src/transport/grpc/reference-scan.ts'

/** Wire type of each field by its path of numbers, of everything that a message can hold; one that is above itself is not gone into. */
function outlineOf(scope: Scope, above: readonly string[] = [], path = ''): readonly string[] {
  return scope.type.field.flatMap((field: FieldType) => {
    const here = `${path}.${field.number}`
    if (field.type !== 'TYPE_MESSAGE') return [`${here} ${wireTypes.get(field.type) ?? 0}`]
    const inner = typeOf(field, scope)
    const again = above.includes(inner.path)
    return [`${here} 2`, ...(again ? [] : outlineOf(inner, [...above, inner.path], here))]
  })
}

function tableOf(message: Message, above: readonly Message[] = [], path = ''): readonly string[] {
  return message.fields.flatMap((field, number) => {
    if (field === undefined) return []
    const here = `${path}.${number}`
    const again = above.includes(field.message)
    return [`${here} ${field.wire}`, ...(again ? [] : tableOf(field.message, [...above, field.message], here))]
  })
}

const named = (name: string): Scope => find(name) ?? expect.fail(name)

it('the table of fields is what the vendored protos say', () => {
  const table = tableOf(checkRequest)
  expect(table.toSorted()).toEqual(outlineOf(named('envoy.service.auth.v3.CheckRequest')).toSorted())
  expect(table.length).toBeGreaterThan(100)
  expect(tableOf(headerValue)).toEqual(outlineOf(named('envoy.config.core.v3.HeaderValue')))
})

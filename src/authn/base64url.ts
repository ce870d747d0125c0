/**
 * Decodes Base64url (RFC 4648 §5, no padding) in its one canonical form, or gives undefined: Node's decoder also takes
 * spaces, padding, foreign characters and stray trailing bits, so that one signature would have many spellings.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined
  const bytes = Buffer.from(text, 'base64url')
  // Equal length and alphabet: only the last character can differ, where it carries bits that are dropped.
  return bytes.toString('base64url') === text ? bytes : undefined
}

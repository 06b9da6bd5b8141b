// What the client's tests share: fresh stream names and ways to take from a live reader.
import { randomUUID } from "node:crypto"
import { baseUrl } from "../target.mjs"

/** The path of a stream that no other test, nor an earlier run, has used. */
export const freshPath = (name) => `/v1/stream/client-${randomUUID()}/${name}`

/** The URL of such a stream. */
export const freshUrl = (name) => baseUrl + freshPath(name)

/** The one iterator of a reader's stream: take from it step by step, then to its end. */
export const reading = (readable) => readable[Symbol.asyncIterator]()

/** The next `count` items. Waits for them; a reader that ends before is an error. */
export async function take(iterator, count) {
  const items = []
  while (items.length < count) {
    const { done, value } = await iterator.next()
    if (done) throw new Error(`ended after ${items.length} of ${count} items`)
    items.push(value)
  }
  return items
}

/** Joins pieces (strings, byte arrays) until they are as long as `wanted`: a server may cut anywhere. */
export async function takeLength(iterator, wanted) {
  const pieces = []
  for (let length = 0; length < wanted.length; ) {
    const [piece] = await take(iterator, 1)
    pieces.push(piece)
    length += piece.length
  }
  return typeof wanted === "string" ? pieces.join("") : new Uint8Array(Buffer.concat(pieces))
}

/** Everything up to the end of the stream: returns only when the reader saw EOF. */
export async function rest(iterator) {
  const items = []
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    items.push(next.value)
  }
  return items
}

/** `{ n: from }` .. `{ n: to }`, both included. */
export const numbered = (from, to) =>
  Array.from({ length: to - from + 1 }, (_, index) => ({ n: from + index }))

/** Bytes that use every value and do not repeat at any page size. */
export const patternBytes = (length) =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) * 17) % 256)

/**
 * How the client reads up to the tail: `json()`, `text()` and `body()` then follow page after page and stop at the
 * tail without waiting. With `live: false` they take the first page only, whatever the server says of more.
 */
export const TO_THE_TAIL = { live: "long-poll" }

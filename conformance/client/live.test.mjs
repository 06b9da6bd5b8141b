// The official client's live readers: what they see while a stream grows, and how they learn of its end.
import { DurableStream } from "@durable-streams/client"
import { describe, expect, test } from "vitest"
import { freshUrl, numbered, patternBytes, reading, rest, take, takeLength } from "./helpers.mjs"

const create = (contentType, options) =>
  DurableStream.create({ url: freshUrl("live"), contentType, ...options })

const append = (handle, message) => handle.append(JSON.stringify(message))

describe.each(["long-poll", "sse"])("%s tail", (live) => {
  test("JSON: the past, then every message as it comes, then the end", async () => {
    const handle = await create("application/json", { body: '[{"n":1},{"n":2}]' })
    const response = await handle.stream({ live })
    const items = reading(response.jsonStream())

    expect(await take(items, 2)).toEqual(numbered(1, 2))
    for (let n = 3; n <= 10; n++) {
      await append(handle, { n })
      expect(await take(items, 1)).toEqual([{ n }])
    }
    await Promise.all(numbered(11, 100).map((message) => append(handle, message)))
    await handle.close({ body: '{"n":101}' })

    expect(await rest(items)).toEqual(numbered(11, 101))
    expect(response.streamClosed).toBe(true)
    await response.closed
  })

  test("text: lines, blank lines, leading spaces and wide characters arrive as written", async () => {
    const handle = await create("text/plain")
    const response = await handle.stream({ live })
    const pieces = reading(response.textStream())

    // Tokens of a language model begin with a space, and a payload may look like an event.
    const texts = ["Hello", " world", "\n\n", "data: x\nevent: control\n", "grüße \u{1F980}", "\n end\n"]
    for (const text of texts) {
      await handle.append(text)
      expect(await takeLength(pieces, text)).toBe(text)
    }
    await handle.close()

    expect(await rest(pieces)).toEqual([])
  })

  test("bytes: every value, as written", async () => {
    const handle = await create("application/octet-stream")
    const response = await handle.stream({ live })
    const pieces = reading(response.bodyStream())

    for (const bytes of [patternBytes(1), patternBytes(1_001), patternBytes(20_000)]) {
      await handle.append(bytes)
      expect(await takeLength(pieces, bytes)).toEqual(bytes)
    }
    await handle.close()

    expect(await rest(pieces)).toEqual([])
  })

  test("a past of many pages, with appends on the way", async () => {
    const handle = await create("application/json")
    const fat = (message) => ({ ...message, pad: "x".repeat(300) })
    const past = numbered(1, 200).map(fat)
    const future = numbered(201, 300).map(fat)
    await Promise.all(past.map((message) => append(handle, message)))

    const response = await handle.stream({ live })
    const items = reading(response.jsonStream())
    const writing = Promise.all(future.map((message) => append(handle, message)))
    expect(await take(items, past.length)).toEqual(past)
    expect(await take(items, future.length)).toEqual(future)
    await writing
    await handle.close()

    expect(await rest(items)).toEqual([])
  })

  test("the offset of a batch is where the next reader goes on", async () => {
    const handle = await create("application/json", { body: '[{"n":1}]' })
    const response = await handle.stream({ live })
    const batches = []
    const second = new Promise((resolve) => {
      response.subscribeJson((batch) => {
        batches.push(batch)
        if (batch.items.some(({ n }) => n === 2)) resolve(batch)
      })
    })
    await append(handle, { n: 2 })
    const { offset } = await second
    response.cancel()
    await append(handle, { n: 3 })
    await handle.close()

    expect(batches.flatMap(({ items }) => items)).toEqual(numbered(1, 2))
    const resumed = await handle.stream({ live, offset })
    expect(await rest(reading(resumed.jsonStream()))).toEqual([{ n: 3 }])
  })

  test("from now on: only what comes after", async () => {
    const handle = await create("application/json", { body: '[{"n":1}]' })
    const response = await handle.stream({ live, offset: "now" })
    const items = reading(response.jsonStream())
    await append(handle, { n: 2 })

    expect(await take(items, 1)).toEqual([{ n: 2 }])
    await handle.close()
    expect(await rest(items)).toEqual([])
  })

  test("many readers of one stream see the same", async () => {
    const handle = await create("application/json")
    const readers = await Promise.all(
      Array.from({ length: 20 }, async () => reading((await handle.stream({ live })).jsonStream()))
    )
    const seen = Promise.all(readers.map(rest))
    for (const message of numbered(1, 20)) await append(handle, message)
    await handle.close()

    for (const items of await seen) expect(items).toEqual(numbered(1, 20))
  })
})

describe.each([false, true, "long-poll", "sse"])("end of stream, live: %s", (live) => {
  test("a stream that closed before is read to its end", async () => {
    const handle = await create("application/json", { body: '[{"n":1}]' })
    await handle.close({ body: '{"n":2}' })
    const response = await handle.stream({ live })

    expect(await rest(reading(response.jsonStream()))).toEqual(numbered(1, 2))
    expect(response.streamClosed).toBe(true)
    expect(response.upToDate).toBe(true)
  })

  test("a closed stream read at its tail is at its end at once", async () => {
    const handle = await create("application/json", { body: '[{"n":1}]' })
    const { finalOffset } = await handle.close()
    const response = await handle.stream({ live, offset: finalOffset })

    expect(await rest(reading(response.jsonStream()))).toEqual([])
    expect(response.streamClosed).toBe(true)
  })
})

test("a long-poll that times out asks again and misses nothing", async () => {
  const handle = await create("application/json")
  let timedOut
  const firstTimeout = new Promise((resolve) => (timedOut = resolve))
  const response = await new DurableStream({
    url: handle.url,
    fetch: async (...request) => {
      const answer = await fetch(...request)
      if (answer.status === 204) timedOut()
      return answer
    },
  }).stream({ live: "long-poll" })
  const items = reading(response.jsonStream())
  const first = take(items, 1)

  await firstTimeout
  await append(handle, { n: 1 })
  expect(await first).toEqual([{ n: 1 }])
  await handle.close()
  expect(await rest(items)).toEqual([])
})

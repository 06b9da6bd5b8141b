// The official client's IdempotentProducer: every message exactly once and in order, whatever the network does.
import { DurableStream, IdempotentProducer, StaleEpochError } from "@durable-streams/client"
import { describe, expect, test } from "vitest"
import { freshUrl, numbered, patternBytes, TO_THE_TAIL } from "./helpers.mjs"

const create = (contentType) => DurableStream.create({ url: freshUrl("producer"), contentType })

const readJson = async (handle) => (await handle.stream(TO_THE_TAIL)).json()

/** Collects the errors that a producer reports, so that a test can say there were none. */
function producing(handle, options) {
  const errors = []
  const producer = new IdempotentProducer(handle, "producer-1", {
    onError: (error) => errors.push(error),
    ...options,
  })
  return { producer, errors }
}

/** Small batches without delay: many requests in flight at once. */
const PIPELINED = { maxInFlight: 5, lingerMs: 0, maxBatchBytes: 40 }

describe("pipelined appends", () => {
  test("JSON: every message once and in order", async () => {
    const handle = await create("application/json")
    let inFlight = 0
    let most = 0
    const { producer, errors } = producing(handle, {
      ...PIPELINED,
      fetch: async (...request) => {
        most = Math.max(most, ++inFlight)
        return fetch(...request).finally(() => inFlight--)
      },
    })
    const messages = numbered(1, 500)
    for (const message of messages) producer.append(JSON.stringify(message))
    await producer.flush()

    expect(errors).toEqual([])
    expect(most).toBe(5)
    expect(await readJson(handle)).toEqual(messages)
    expect(producer.lastSuccessfulOffset).toBe((await handle.head()).offset)
  })

  test("bytes: exactly as written", async () => {
    const handle = await create("application/octet-stream")
    const { producer, errors } = producing(handle, { ...PIPELINED, maxBatchBytes: 1_000 })
    const bytes = patternBytes(100_000)
    for (let at = 0; at < bytes.length; at += 700) producer.append(bytes.subarray(at, at + 700))
    await producer.flush()

    expect(errors).toEqual([])
    expect(await (await handle.stream(TO_THE_TAIL)).body()).toEqual(bytes)
  })

  test("requests that overtake each other are put in order by the gap answer", async () => {
    const handle = await create("application/json")
    const answers = []
    let gapSeen
    const gap = new Promise((resolve) => (gapSeen = resolve))
    const { producer, errors } = producing(handle, {
      maxInFlight: 2,
      lingerMs: 0,
      maxBatchBytes: 1,
      fetch: async (url, init) => {
        const seq = init.headers["Producer-Seq"]
        if (seq === "0") await gap
        const answer = await fetch(url, init)
        answers.push([seq, answer.status, answer.headers.get("Producer-Expected-Seq")])
        if (seq === "1") gapSeen()
        return answer
      },
    })
    producer.append("1")
    producer.append("2")
    await producer.flush()

    expect(errors).toEqual([])
    expect(answers).toEqual([
      ["1", 409, "0"],
      ["0", 200, null],
      ["1", 200, null],
    ])
    expect(await readJson(handle)).toEqual([1, 2])
  })
})

describe("retries", () => {
  test("a request whose answer was lost is sent again and counts once", async () => {
    const handle = await create("application/json")
    const retried = []
    const { producer, errors } = producing(handle, {
      ...PIPELINED,
      // In turn, or a retry of a later batch could be a gap instead of a duplicate.
      maxInFlight: 1,
      fetch: async (...request) => {
        expect((await fetch(...request)).status).toBe(200)
        const again = await fetch(...request)
        retried.push(again.status)
        return again
      },
    })
    const messages = numbered(1, 50)
    for (const message of messages) producer.append(JSON.stringify(message))
    await producer.flush()

    expect(errors).toEqual([])
    expect(retried.length).toBeGreaterThan(5)
    expect(new Set(retried)).toEqual(new Set([204]))
    expect(await readJson(handle)).toEqual(messages)
  })

  test("the same request twice at the same time counts once", async () => {
    const handle = await create("application/json")
    const { producer, errors } = producing(handle, {
      ...PIPELINED,
      maxInFlight: 1,
      fetch: async (...request) => {
        const twins = await Promise.all([fetch(...request), fetch(...request)])
        expect(twins.map(({ status }) => status).sort()).toEqual([200, 204])
        return twins[0]
      },
    })
    const messages = numbered(1, 50)
    for (const message of messages) producer.append(JSON.stringify(message))
    await producer.flush()

    expect(errors).toEqual([])
    expect(await readJson(handle)).toEqual(messages)
  })

  test("a close with a last message, retried, closes once", async () => {
    const handle = await create("application/json")
    const statuses = []
    const { producer } = producing(handle, {
      fetch: async (...request) => {
        statuses.push((await fetch(...request)).status)
        const again = await fetch(...request)
        statuses.push(again.status)
        return again
      },
    })
    producer.append("1")
    const { finalOffset } = await producer.close("2")

    expect(statuses).toEqual([200, 204, 200, 204])
    expect(await handle.head()).toMatchObject({ streamClosed: true, offset: finalOffset })
    expect(await readJson(handle)).toEqual([1, 2])
  })
})

describe("epochs", () => {
  test("a new session takes over, and the old one is fenced", async () => {
    const handle = await create("application/json")
    const old = producing(handle, { epoch: 5 })
    old.producer.append('"old"')
    await old.producer.flush()

    const next = producing(handle, { autoClaim: true })
    next.producer.append('"new"')
    await next.producer.flush()
    expect(next.errors).toEqual([])
    expect(next.producer.epoch).toBe(6)

    old.producer.append('"zombie"')
    await old.producer.flush().catch(() => {})
    expect(old.errors).toHaveLength(1)
    expect(old.errors[0]).toBeInstanceOf(StaleEpochError)
    expect(old.errors[0].currentEpoch).toBe(6)
    expect(await readJson(handle)).toEqual(["old", "new"])
  })

  test("a restarted producer counts from zero in a higher epoch", async () => {
    const handle = await create("application/json")
    const { producer, errors } = producing(handle)
    producer.append("1")
    await producer.restart()
    producer.append("2")
    await producer.flush()

    expect(errors).toEqual([])
    expect(producer.epoch).toBe(1)
    expect(await readJson(handle)).toEqual([1, 2])
  })
})

test("two producers on one stream keep their own order and lose nothing", async () => {
  const handle = await create("application/json")
  const names = ["a", "b"]
  await Promise.all(
    names.map(async (name) => {
      const producer = new IdempotentProducer(handle, name, PIPELINED)
      for (const { n } of numbered(1, 100)) producer.append(JSON.stringify({ name, n }))
      await producer.flush()
    })
  )

  const seen = await readJson(handle)
  expect(seen).toHaveLength(200)
  for (const name of names) {
    expect(seen.filter((message) => message.name === name)).toEqual(
      numbered(1, 100).map(({ n }) => ({ name, n }))
    )
  }
})

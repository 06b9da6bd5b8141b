// The official client on the request/response half of the protocol: create, append, read, fork, delete.
import { DurableStream, stream, StreamClosedError } from "@durable-streams/client"
import { describe, expect, test } from "vitest"
import { baseUrl } from "../target.mjs"
import { freshPath, freshUrl, numbered, patternBytes, TO_THE_TAIL } from "./helpers.mjs"

const JSON_TYPE = "application/json"
const BYTES_TYPE = "application/octet-stream"

const create = (contentType, options) =>
  DurableStream.create({ url: freshUrl("catch-up"), contentType, ...options })

const readJson = async (url, options) => (await stream({ url, ...TO_THE_TAIL, ...options })).json()

describe("create", () => {
  test("an empty stream exists, has a type and reads as nothing", async () => {
    const { url } = await create("text/plain; charset=utf-8")

    expect(await DurableStream.head({ url })).toMatchObject({
      exists: true,
      contentType: "text/plain; charset=utf-8",
      streamClosed: false,
    })
    expect(await (await stream({ url, live: false })).text()).toBe("")
  })

  test("again with the same configuration is the same stream, with another is a conflict", async () => {
    const { url } = await create(JSON_TYPE, { body: "[1,2]" })

    await DurableStream.create({ url, contentType: JSON_TYPE })
    await expect(DurableStream.create({ url, contentType: "text/plain" })).rejects.toMatchObject({
      status: 409,
    })
    expect(await readJson(url)).toEqual([1, 2])
  })
})

describe("append and catch-up", () => {
  test("JSON messages come back one by one, nested arrays whole", async () => {
    const handle = await create(JSON_TYPE)
    const messages = [{ text: "grüße \u{1F980}\nline" }, [1, [2]], "plain", 0, null, true]
    for (const message of messages) await handle.append(JSON.stringify(message))

    expect(await readJson(handle.url)).toEqual(messages)
  })

  test("overlapping appends are batched by the client and keep their order", async () => {
    const handle = await create(JSON_TYPE)
    const messages = numbered(1, 100)
    await Promise.all(messages.map((message) => handle.append(JSON.stringify(message))))

    expect(await readJson(handle.url)).toEqual(messages)
  })

  test("text is one piece of text, whatever the appends were", async () => {
    const handle = await create("text/plain")
    for (const piece of ["Hel", "lo,", " wörld", "\r\n", "\n end "]) await handle.append(piece)

    expect(await (await handle.stream(TO_THE_TAIL)).text()).toBe("Hello, wörld\r\n\n end ")
  })

  test("bytes come back exactly, over as many pages as it takes", async () => {
    const handle = await create(BYTES_TYPE)
    const bytes = patternBytes(300_000)
    for (let at = 0; at < bytes.length; at += 1_500) {
      await handle.append(bytes.subarray(at, at + 1_500))
    }

    expect(await (await handle.stream(TO_THE_TAIL)).body()).toEqual(bytes)
  })

  test("one message larger than a page comes back whole", async () => {
    const handle = await create(JSON_TYPE)
    const large = { text: "x".repeat(200_000) }
    await handle.append(JSON.stringify(large))
    await handle.append(JSON.stringify({ n: 1 }))

    expect(await readJson(handle.url)).toEqual([large, { n: 1 }])
  })

  test("a streamed body is one append", async () => {
    const handle = await create("text/plain")
    await handle.appendStream(
      (async function* () {
        yield "one "
        yield "two "
        yield "three"
      })()
    )

    expect(await (await handle.stream(TO_THE_TAIL)).text()).toBe("one two three")
  })

  test("reading goes on where an offset says, and nowhere else", async () => {
    const handle = await create(JSON_TYPE)
    const messages = numbered(1, 400)
    const offsets = []
    for (const group of [messages.slice(0, 150), messages.slice(150, 151), messages.slice(151)]) {
      await Promise.all(group.map((message) => handle.append(JSON.stringify(message))))
      offsets.push((await handle.head()).offset)
    }

    expect(await readJson(handle.url)).toEqual(messages)
    expect(await readJson(handle.url, { offset: offsets[0] })).toEqual(messages.slice(150))
    expect(await readJson(handle.url, { offset: offsets[1] })).toEqual(messages.slice(151))
    expect(await readJson(handle.url, { offset: offsets[2] })).toEqual([])
    expect(await readJson(handle.url, { offset: "now" })).toEqual([])
  })

  test("a writer's sequence that does not rise is refused and leaves nothing", async () => {
    const handle = await create(JSON_TYPE)
    await handle.append("1", { seq: "b" })

    await expect(handle.append("2", { seq: "a" })).rejects.toMatchObject({ status: 409 })
    expect(await readJson(handle.url)).toEqual([1])
  })
})

describe("close", () => {
  test("the final offset is the tail, and closing again changes nothing", async () => {
    const handle = await create(JSON_TYPE)
    await handle.append("1")
    const { finalOffset } = await handle.close({ body: "2" })

    expect(await handle.close()).toEqual({ finalOffset })
    expect(await handle.head()).toMatchObject({ streamClosed: true, offset: finalOffset })
    await expect(handle.close({ body: "3" })).rejects.toSatisfy(
      (error) => error instanceof StreamClosedError || error.status === 409
    )
    await expect(handle.append("3")).rejects.toMatchObject({ status: 409 })
    expect(await readJson(handle.url)).toEqual([1, 2])
  })
})

describe("fork", () => {
  // The client has no call for forks yet; they are two headers on a PUT.
  const fork = async (sourcePath, offset) => {
    const url = freshUrl("fork")
    const headers = { "Content-Type": JSON_TYPE, "Stream-Forked-From": sourcePath }
    if (offset) headers["Stream-Fork-Offset"] = offset
    const response = await fetch(url, { method: "PUT", headers })
    expect(response.status).toBe(201)
    return DurableStream.connect({ url })
  }

  test("a fork has the source's past and its own future", async () => {
    const path = freshPath("source")
    const source = await DurableStream.create({ url: baseUrl + path, contentType: JSON_TYPE })
    await source.append("1")
    const { offset } = await source.head()
    await source.append("2")

    const atHead = await fork(path)
    const atOne = await fork(path, offset)
    await source.append("3")
    await atHead.append('"head"')
    await atOne.append('"one"')

    expect(await readJson(source.url)).toEqual([1, 2, 3])
    expect(await readJson(atHead.url)).toEqual([1, 2, "head"])
    expect(await readJson(atOne.url)).toEqual([1, "one"])
    // A fork lives in its source's offset space.
    expect(await readJson(atOne.url, { offset })).toEqual(["one"])
  })

  test("a fork outlives its deleted source", async () => {
    const path = freshPath("source")
    const source = await DurableStream.create({ url: baseUrl + path, contentType: JSON_TYPE })
    await source.append("1")
    const child = await fork(path)
    await source.delete()

    await expect(stream({ url: source.url, live: false })).rejects.toMatchObject({ status: 410 })
    await child.append("2")
    expect(await readJson(child.url)).toEqual([1, 2])
  })
})

describe("delete", () => {
  test("a deleted stream is gone, and its name is free", async () => {
    const handle = await create(JSON_TYPE, { body: "[1]" })
    await handle.delete()

    expect(await DurableStream.head({ url: handle.url })).toEqual({ exists: false })
    await expect(stream({ url: handle.url, live: false })).rejects.toMatchObject({ status: 404 })
    await expect(handle.append("2")).rejects.toMatchObject({ status: 404 })

    await DurableStream.create({ url: handle.url, contentType: "text/plain", body: "anew" })
    expect(await (await stream({ url: handle.url, live: false })).text()).toBe("anew")
  })
})

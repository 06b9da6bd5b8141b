// Which server is under test: CONFORMANCE_BASE_URL, without a trailing slash.
// Its long-poll timeout must be below 5 s, or tests that wait for one run out of time.
const url = process.env.CONFORMANCE_BASE_URL
if (!url) {
  throw new Error("set CONFORMANCE_BASE_URL, for example http://127.0.0.1:4437")
}

export const baseUrl = url.replace(/\/+$/, "")

import { defineConfig } from "vitest/config"

// CONFORMANCE_REPORT, if set, is the file that receives the JSON report.
const report = process.env.CONFORMANCE_REPORT

export default defineConfig({
  test: {
    // Twice vitest's default: a debug build on two busy cores is slow, not wrong.
    testTimeout: 10_000,
    fileParallelism: false,
    // A retried test would hide the race that it found.
    retry: 0,
    reporters: report ? ["json"] : ["default"],
    outputFile: report ? { json: report } : undefined,
  },
})

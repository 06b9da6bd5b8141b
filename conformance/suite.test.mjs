// The official suite, as a test file of ours: vitest ignores test files inside node_modules,
// so the suite's own command finds nothing when it is installed as a dependency.
import { runConformanceTests } from "@durable-streams/server-conformance-tests"
import { baseUrl } from "./target.mjs"

runConformanceTests({ baseUrl, subscriptions: true })

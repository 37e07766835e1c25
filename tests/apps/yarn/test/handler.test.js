import assert from "node:assert/strict";
import { test } from "node:test";
import semver from "semver";

import { greeting, handler } from "../src/handler.js";

test("greets the world and says for how long it is up", () => {
  assert.equal(greeting(60_000), "Hello, World! I have been up for 1 minute.");
});

test("answers with JSON", async () => {
  const { statusCode, body } = await handler();
  assert.equal(statusCode, 200);
  assert.deepEqual(Object.keys(JSON.parse(body)), ["message", "stage"]);
});

test("runs on a supported Node.js", () => {
  assert.ok(semver.gte(process.version, "20.0.0"));
});

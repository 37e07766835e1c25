import assert from "node:assert/strict";
import { test } from "node:test";

import { handler } from "../../src/handler.js";

const body = async (event) => JSON.parse((await handler(event)).body);

test("greets in English when the caller asks for nothing", async () => {
  assert.equal((await body({})).message, "Hello, World!");
});

test("greets in the language that the caller prefers", async () => {
  const event = { headers: { "accept-language": "fr;q=0.8, de" }, pathParameters: { name: "Ada" } };
  const response = await handler(event);
  assert.equal(response.headers["content-language"], "de");
  assert.equal(JSON.parse(response.body).message, "Guten Tag, Ada!");
});

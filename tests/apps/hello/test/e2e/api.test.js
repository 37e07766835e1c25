// Runs against the deployed stack: API_URL is its output ApiUrl.
import assert from "node:assert/strict";
import { test } from "node:test";

const api = process.env.API_URL;
const stage = process.env.EXPECTED_STAGE;

test("the address of the deployed API is known", () => {
  assert.ok(api, "API_URL is not set: does the stack have an output ApiUrl?");
});

test("the deployed API greets the world", async () => {
  const response = await fetch(`${api}/hello`);
  assert.equal(response.status, 200);
  assert.equal((await response.json()).message, "Hello, World!");
});

test("the deployed API greets a caller by name and language", async () => {
  const response = await fetch(`${api}/hello/Ada`, { headers: { "accept-language": "fr" } });
  assert.equal(response.headers.get("content-language"), "fr");
  assert.equal((await response.json()).message, "Bonjour, Ada !");
});

test("the deployed API knows its stage", async () => {
  const { stage: actual } = await (await fetch(`${api}/hello`)).json();
  assert.equal(actual, stage ?? actual);
  assert.notEqual(actual, "unknown");
});

test("an unknown path is not found", async () => {
  assert.equal((await fetch(`${api}/nothing-here`)).status, 404);
});

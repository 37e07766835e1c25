// Runs against the deployed stack: API_URL is its output ApiUrl.
import assert from "node:assert/strict";
import { test } from "node:test";

test("the deployed API greets, and knows its stage", async () => {
  const response = await fetch(`${process.env.API_URL}/hello`);
  assert.equal(response.status, 200);
  const { message, stage } = await response.json();
  assert.equal(message, "Hello, World! I have been up for 1 minute.");
  assert.equal(stage, process.env.EXPECTED_STAGE);
});

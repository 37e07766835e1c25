import assert from "node:assert/strict";
import { test } from "node:test";

import { inWords } from "./index.js";

test("says how long in words", () => {
  assert.equal(inWords(60_000), "1 minute");
  assert.equal(inWords(7_200_000), "2 hours");
});

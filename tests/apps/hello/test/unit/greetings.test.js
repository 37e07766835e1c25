import assert from "node:assert/strict";
import { test } from "node:test";

import { greet, languages } from "../../src/greetings.js";

test("every language greets the world by default", () => {
  for (const language of languages) {
    assert.match(greet(language), /World/);
  }
});

test("a name is decoded", () => {
  assert.equal(greet("en", "Zo%C3%AB"), "Hello, Zoë!");
});

test("an unknown language is named", () => {
  assert.throws(() => greet("tlh"), /no greeting in "tlh"/);
});

// The HTTP API's one function: greets in the language that the caller prefers.
import Negotiator from "negotiator";

import { greet, languages } from "./greetings.js";

export async function handler(event) {
  const negotiator = new Negotiator({ headers: event.headers ?? {} });
  const language = negotiator.language(languages) ?? languages[0];
  const name = event.pathParameters?.name;
  return {
    statusCode: 200,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "content-language": language,
    },
    body: JSON.stringify({
      message: greet(language, name),
      stage: process.env.STAGE ?? "unknown",
    }),
  };
}

// The HTTP API's one function.
import { inWords } from "@hello/uptime";

export const greeting = (uptime) => `Hello, World! I have been up for ${inWords(uptime)}.`;

export async function handler() {
  return {
    statusCode: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: greeting(60_000), stage: process.env.STAGE ?? "unknown" }),
  };
}

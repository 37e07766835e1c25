// The HTTP API's one function.
import ms from "ms";

export const greeting = (uptime) => `Hello, World! I have been up for ${ms(uptime, { long: true })}.`;

export async function handler() {
  return {
    statusCode: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ message: greeting(60_000), stage: process.env.STAGE ?? "unknown" }),
  };
}

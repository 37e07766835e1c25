import ms from "ms";

// How long, in words.
export const inWords = (milliseconds) => ms(milliseconds, { long: true });

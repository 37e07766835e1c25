// What is said, in which language. English first: it is what an unknown language gets.
const greetings = {
  en: (name) => `Hello, ${name}!`,
  de: (name) => `Guten Tag, ${name}!`,
  fr: (name) => `Bonjour, ${name} !`,
};

export const languages = Object.keys(greetings);

export function greet(language, name = "World") {
  const greeting = greetings[language];
  if (!greeting) {
    throw new RangeError(`no greeting in "${language}"; there is ${languages.join(", ")}`);
  }
  return greeting(decodeURIComponent(name));
}

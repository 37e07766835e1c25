// The rules are spelt out: they need no package beside eslint itself.
export default [
  { ignores: ["dist/"] },
  {
    languageOptions: {
      globals: { process: "readonly", fetch: "readonly", console: "readonly" },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-undef": "error",
      "no-unused-vars": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];

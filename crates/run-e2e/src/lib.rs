//! Lambda: run end-to-end tests against a deployed stack.

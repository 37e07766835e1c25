//! Lambda: run a project's own checks and package its outputs.

//! Lambda: install a source tree's dependencies.

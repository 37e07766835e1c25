//! Lambda: hold a release at a gate until its policy agrees.

//! Run a build tool: clean environment, deadline, process group, output tail.

//! A pipeline: definition, executions, scheduling; sans I/O.

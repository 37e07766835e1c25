//! S3 object, zip archive, directory tree: bounded, deterministic.

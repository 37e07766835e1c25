//! The loopback over its own wire: what clients that nobody here wrote see of it.

mod aws_cli;
mod boto3;
mod control;
mod faults;
mod permissions;
mod query;
mod s3_objects;
mod s3_uploads;
mod s3_versions;
mod signatures;
mod world;

//! CloudFormation and SAM templates as data: read, evaluate, package local code.

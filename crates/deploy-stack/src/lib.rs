//! Lambda: deploy or delete a CloudFormation stack.

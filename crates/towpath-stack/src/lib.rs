//! CloudFormation: observed state to next step, change sets, root cause.

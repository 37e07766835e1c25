//! A CodePipeline job: event, parameters, outcome, exactly one report.

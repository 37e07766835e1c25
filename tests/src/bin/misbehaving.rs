//! Functions that do what no function should, for the tests of the whole.
//!
//! `misbehaving panic` panics in its step. `misbehaving silent` takes every event and reports nothing.
//! `misbehaving vanish` ends its process in the middle of a step. `misbehaving thief` reads its input with the
//! function's own credentials instead of the job's. `misbehaving busy` does not even yield.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use towpath_job::{
    Action, Artifact, Failure, FromQuery, Job, Outcome, ParameterError, Query, Variables,
};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = match std::env::args().nth(1).as_deref() {
        Some("panic") => runtime.block_on(towpath_job::run(Misbehaving(How::Panic))),
        Some("vanish") => runtime.block_on(towpath_job::run(Misbehaving(How::Vanish))),
        Some("thief") => runtime.block_on(towpath_job::run(Misbehaving(How::Thief))),
        Some("busy") => runtime.block_on(towpath_job::run(Misbehaving(How::Busy))),
        Some("silent") => runtime.block_on(lambda_runtime::run(service_fn(silent))),
        other => Err(format!("no way to misbehave: {other:?}").into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn silent(_: LambdaEvent<Value>) -> Result<(), lambda_runtime::Error> {
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum How {
    Panic,
    Vanish,
    Thief,
    Busy,
}

struct Misbehaving(How);

/// No parameters.
struct Nothing;

impl FromQuery for Nothing {
    fn from_query(_: &mut Query, _: &[Artifact]) -> Result<Self, ParameterError> {
        Ok(Self)
    }
}

#[derive(Debug)]
struct Denied(String);

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Denied {}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::permission(denied.0)
    }
}

impl Action for Misbehaving {
    const NAME: &'static str = "misbehaving";
    type Parameters = Nothing;
    type Error = Denied;

    async fn step(&self, job: &Job<Nothing>) -> Result<Outcome, Denied> {
        match self.0 {
            How::Panic => panic!("the index is 7 but there are only 3"),
            How::Vanish => std::process::exit(1),
            How::Busy => loop {
                std::hint::spin_loop();
            },
            How::Thief => {
                let own = towpath_aws::s3(&towpath_aws::sdk_config());
                let location = &job.first_input().expect("an input").location;
                let object = own.get_object().bucket(&location.bucket).key(&location.key);
                match object.send().await {
                    Ok(_) => Ok(Outcome::Done {
                        summary: "stolen".to_owned(),
                        variables: Variables::default(),
                        receipts: Vec::new(),
                        external_id: None,
                    }),
                    Err(error) => Err(Denied(format!("{:?}", error.into_service_error()))),
                }
            }
        }
    }
}

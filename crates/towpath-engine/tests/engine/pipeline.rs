//! A pipeline on a bench: a small language for definitions, a clock that is moved by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use towpath_engine::{
    ActionStatus, ApprovalAnswer, ApprovalRequest, Definition, DefinitionError, Effect, Engine,
    ExecutionId, ExecutionStatus, Failure, Fetch, Input, Invocation, JobId, JobSuccess, Refused,
    Revision, Settings, SourceFetched, StartExecution, Time, Trigger,
};

pub(crate) const REGION: &str = "eu-central-1";

/// A source action with output artifact `Source` and namespace `Src`.
pub(crate) fn source() -> Value {
    json!({
        "name": "Checkout",
        "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "CodeStarSourceConnection", "version": "1"},
        "configuration": {
            "ConnectionArn": "arn:aws:codeconnections:eu-central-1:000000000000:connection/one",
            "FullRepositoryId": "team/hello",
            "BranchName": "main"
        },
        "outputArtifacts": [{"name": "Source"}],
        "namespace": "Src"
    })
}

/// An invoke action.
pub(crate) fn lambda(name: &str) -> Value {
    json!({
        "name": name,
        "actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"},
        "configuration": {"FunctionName": format!("fn-{name}")}
    })
}

/// A manual approval.
pub(crate) fn approval(name: &str) -> Value {
    json!({
        "name": name,
        "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}
    })
}

/// An action with more members.
pub(crate) fn with(mut action: Value, members: Value) -> Value {
    for (name, value) in members.as_object().expect("an object") {
        action[name] = value.clone();
    }
    action
}

pub(crate) fn stage(name: &str, actions: &[Value]) -> Value {
    json!({"name": name, "actions": actions})
}

pub(crate) fn pipeline(stages: &[Value]) -> Value {
    json!({
        "name": "hello",
        "roleArn": "arn:aws:iam::000000000000:role/pipeline",
        "artifactStore": {"type": "S3", "location": "artifacts"},
        "pipelineType": "V2",
        "stages": stages
    })
}

pub(crate) fn parse(document: &Value) -> Result<Definition, DefinitionError> {
    Definition::parse(document, REGION)
}

/// An engine, a clock, and everything that it asked for.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    bits: u128,
    pub(crate) effects: Vec<Effect>,
}

impl Bench {
    pub(crate) fn new(document: &Value) -> Self {
        Self::with_settings(document, Settings::default())
    }

    pub(crate) fn with_settings(document: &Value, settings: Settings) -> Self {
        let definition = parse(document).unwrap_or_else(|error| panic!("{error}\n{document:#}"));
        Self {
            engine: Engine::new(definition, settings),
            now: Time::from_millis(1_000_000),
            bits: 0,
            effects: Vec::new(),
        }
    }

    /// Feeds an input; its effects are added to those seen.
    pub(crate) fn feed(&mut self, input: Input) -> Result<(), Refused> {
        let bits = &mut self.bits;
        // Distinct, and distinct in the characters that ids and object keys are made of.
        let mut draw = || {
            *bits += 1;
            bits.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        };
        let effects = self.engine.handle(input, self.now, &mut draw)?;
        self.effects.extend(effects);
        Ok(())
    }

    pub(crate) fn start(&mut self) -> ExecutionId {
        self.start_with(&[]).expect("the execution starts")
    }

    pub(crate) fn start_with(
        &mut self,
        variables: &[(&str, &str)],
    ) -> Result<ExecutionId, Refused> {
        let execution = ExecutionId::from_bits(self.engine.executions().len() as u128 + 1);
        self.feed(Input::Start(StartExecution {
            execution: execution.clone(),
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            sources: BTreeMap::new(),
            trigger: Trigger {
                kind: "StartPipelineExecution".into(),
                detail: "test".into(),
            },
        }))?;
        Ok(execution)
    }

    /// Moves the clock, delivering every tick that was asked for on the way.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.engine.next_timer().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.feed(Input::Tick).expect("a tick is never refused");
        }
        self.now = end;
    }

    pub(crate) fn jobs(&self, action: &str) -> Vec<Invocation> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::InvokeFunction(job) if job.action == action => Some((**job).clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn job(&self, action: &str) -> Invocation {
        self.jobs(action)
            .pop()
            .unwrap_or_else(|| panic!("no job for `{action}` in {:#?}", self.effects))
    }

    pub(crate) fn fetches(&self) -> Vec<Fetch> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::FetchSource(fetch) => Some((**fetch).clone()),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn requests(&self) -> Vec<ApprovalRequest> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::RequestApproval(request) => Some((**request).clone()),
                _ => None,
            })
            .collect()
    }

    /// Answers the last fetch.
    pub(crate) fn fetched(&mut self, revision: &str) {
        let fetch = self.fetches().pop().expect("a fetch");
        self.feed(Input::SourceFetched(SourceFetched {
            action_execution: fetch.action_execution,
            revision: Revision {
                id: revision.into(),
                change: None,
                summary: Some(format!("commit {revision}")),
                created: None,
                url: None,
            },
            variables: BTreeMap::from([("CommitId".into(), revision.into())]),
        }))
        .expect("the source is awaited");
    }

    pub(crate) fn report(&mut self, job: &JobId, report: JobSuccess) -> Result<(), Refused> {
        self.feed(Input::JobSucceeded {
            job: job.clone(),
            report,
        })
    }

    /// Reports success of the last job of an action.
    pub(crate) fn succeed(&mut self, action: &str) {
        let job = self.job(action).job;
        self.report(&job, JobSuccess::default())
            .expect("the job is awaited");
    }

    /// Reports failure of the last job of an action.
    pub(crate) fn fail(&mut self, action: &str) {
        let job = self.job(action).job;
        self.feed(Input::JobFailed {
            job,
            failure: Failure::new("JobFailed", "broken"),
        })
        .expect("the job is awaited");
    }

    pub(crate) fn decide(&mut self, approved: bool) -> Result<(), Refused> {
        let request = self.requests().pop().expect("a request");
        self.feed(Input::Answer(ApprovalAnswer {
            stage: request.stage,
            action: request.action,
            token: request.token,
            approved,
            summary: "because".into(),
            by: Some("someone".into()),
        }))
    }

    pub(crate) fn status(&self, execution: &ExecutionId) -> ExecutionStatus {
        self.engine
            .execution(execution)
            .expect("the execution exists")
            .status
    }

    /// Every attempt of an execution: action, status.
    pub(crate) fn log(&self, execution: &ExecutionId) -> Vec<(String, ActionStatus)> {
        let execution = self.engine.execution(execution).expect("it exists");
        execution
            .log
            .iter()
            .map(|run| {
                let stage = &execution.definition.stages[run.stage];
                (stage.actions[run.action].name.clone(), run.status)
            })
            .collect()
    }

    /// Why the last attempt at an action failed: code and message.
    pub(crate) fn error(&self, stage: &str, action: &str) -> (String, String) {
        let failure = self
            .engine
            .latest_run(stage, action)
            .and_then(|run| run.error.clone())
            .expect("it failed");
        (failure.code, failure.message)
    }

    /// Who is in each stage, and who waits for it, by the number of the execution.
    pub(crate) fn stages(&self) -> Vec<(Option<usize>, Vec<usize>)> {
        let number = |id: &ExecutionId| {
            self.engine
                .executions()
                .iter()
                .position(|execution| execution.id == *id)
                .expect("it exists")
        };
        self.engine
            .stages()
            .map(|stage| {
                (
                    stage.holder.map(|execution| number(&execution.id)),
                    stage
                        .waiters()
                        .map(|execution| number(&execution.id))
                        .collect(),
                )
            })
            .collect()
    }
}

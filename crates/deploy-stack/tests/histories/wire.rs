//! The model behind the wire: what the SDK sends is answered in this process, rightly, late, wrongly or not at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;
use towpath_stack::StackStatus;

use crate::chance::Chance;
use crate::model::{CloudFormation, NAME, Refusal, Stack};

/// How many late reads there may be after something has changed.
const LATE: u32 = 3;

/// The world that the function calls.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cloudformation: CloudFormation,
    pub(crate) chance: Chance,
    /// Whether calls may go wrong.
    pub(crate) faults: bool,
    /// At which of the next calls the function dies.
    pub(crate) dies_at: Option<u32>,
    /// The input artifact.
    pub(crate) archive: Vec<u8>,
    /// What was reported, in order, and which jobs are settled.
    pub(crate) reports: Vec<(String, Value)>,
    /// What was called, for whoever reads of a failure.
    pub(crate) trace: Vec<String>,
    /// The stack as it was before the last change, and how often it may still be seen.
    late: Option<(Option<Stack>, u32)>,
    began: OffsetDateTime,
}

impl World {
    pub(crate) fn new(cloudformation: CloudFormation, chance: Chance, archive: Vec<u8>) -> Self {
        Self {
            cloudformation,
            chance,
            faults: true,
            dies_at: None,
            archive,
            reports: Vec::new(),
            trace: Vec::new(),
            late: None,
            began: OffsetDateTime::now_utc(),
        }
    }

    fn time(&self, at: u64) -> String {
        let time = self.began + time::Duration::milliseconds(at.try_into().unwrap_or(i64::MAX));
        time.format(&Rfc3339).expect("a time of this century")
    }
}

/// What becomes of one request.
pub(crate) enum Fate {
    Answer(u16, String),
    Bytes(u16, Vec<u8>, Vec<(&'static str, String)>),
    Cut,
    Dies,
}

/// A world that can be called, and in which time passes.
pub(crate) trait Lives: std::fmt::Debug + Send + 'static {
    /// What becomes of a request.
    fn answer(&mut self, request: &HttpRequest) -> Fate;
    /// The chance that it runs by.
    fn chance(&mut self) -> &mut Chance;
    /// At which of the next calls the function dies.
    fn dies_at(&mut self, calls: Option<u32>);
    /// What was reported, in order.
    fn reports(&self) -> &[(String, Value)];
    /// Time passes between two invocations, and somebody else may meddle.
    fn pass(&mut self, meddled: bool);
}

/// The way to the world that the SDK is given.
#[derive(Debug)]
pub(crate) struct Wire<W> {
    world: Arc<Mutex<W>>,
    pub(crate) died: Arc<Notify>,
}

impl<W> Clone for Wire<W> {
    fn clone(&self) -> Self {
        Self {
            world: Arc::clone(&self.world),
            died: Arc::clone(&self.died),
        }
    }
}

impl<W> Wire<W> {
    pub(crate) fn to(world: W) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            died: Arc::default(),
        }
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut W) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<W: Lives> HttpClient for Wire<W> {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl<W: Lives> HttpConnector for Wire<W> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let fate = self.with(|world| world.answer(&request));
        let response = |status: u16, body: SdkBody, headers: &[(&'static str, String)]| {
            let status = StatusCode::try_from(status).expect("a status");
            let mut response = HttpResponse::new(status, body);
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.clone());
            }
            HttpConnectorFuture::ready(Ok(response))
        };
        match fate {
            Fate::Answer(status, text) => response(status, SdkBody::from(text), &[]),
            Fate::Bytes(status, bytes, headers) => response(status, SdkBody::from(bytes), &headers),
            Fate::Cut => HttpConnectorFuture::ready(Err(ConnectorError::io("cut off".into()))),
            Fate::Dies => {
                self.died.notify_one();
                HttpConnectorFuture::new(std::future::pending())
            }
        }
    }
}

impl Lives for World {
    fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    fn dies_at(&mut self, calls: Option<u32>) {
        self.dies_at = calls;
    }

    fn reports(&self) -> &[(String, Value)] {
        &self.reports
    }

    fn pass(&mut self, meddled: bool) {
        self.cloudformation.pass(&mut self.chance);
        if meddled {
            self.trace.push("somebody else meddles".to_owned());
            self.cloudformation.meddle(&mut self.chance);
        }
    }

    fn answer(&mut self, request: &HttpRequest) -> Fate {
        if let Some(target) = request.headers().get("x-amz-target") {
            return settle(
                &mut self.reports,
                target,
                request.body().bytes().unwrap_or_default(),
            );
        }
        if request.method() != "POST" {
            return self.read(request);
        }
        let body = request.body().bytes().unwrap_or_default();
        let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(body).expect("a form");
        let operation = form.get("Action").cloned().unwrap_or_default();
        if let Some(left) = &mut self.dies_at {
            if *left == 0 {
                self.dies_at = None;
                // Before it took effect, or after.
                if self.chance.one_in(2) {
                    let _ = self.act(&operation, &form);
                }
                self.trace.push(format!("{operation}: the function dies"));
                return Fate::Dies;
            }
            *left -= 1;
        }
        let fault = if self.faults {
            self.chance.below(24)
        } else {
            99
        };
        let fate = match fault {
            0 => refuse(400, "Throttling", "Rate exceeded"),
            1 => Fate::Answer(500, "<html>".to_owned()),
            2 => Fate::Cut,
            3 => {
                let _ = self.act(&operation, &form);
                Fate::Cut
            }
            _ => self.act(&operation, &form),
        };
        let told = match &fate {
            Fate::Answer(status, _) => status.to_string(),
            _ => "cut".to_owned(),
        };
        let status = self.cloudformation.named().map(|stack| stack.status);
        self.trace.push(format!(
            "{operation}: {told} ({fault}); the stack is {status:?}"
        ));
        fate
    }
}

impl World {
    /// S3: the input artifact.
    fn read(&self, request: &HttpRequest) -> Fate {
        let whole = &self.archive;
        let mut headers = vec![("etag", "\"archive\"".to_owned())];
        let range = request
            .headers()
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((first, last)) = range else {
            return Fate::Bytes(200, whole.clone(), headers);
        };
        let (from, to) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(from), Ok(last)) => (from, (last + 1).min(whole.len())),
            (Ok(from), Err(_)) => (from, whole.len()),
            (Err(_), Ok(suffix)) => (whole.len() - suffix.min(whole.len()), whole.len()),
            (Err(_), Err(_)) => (0, whole.len()),
        };
        headers.push((
            "content-range",
            format!("bytes {from}-{}/{}", to - 1, whole.len()),
        ));
        Fate::Bytes(206, whole[from..to].to_vec(), headers)
    }

    fn act(&mut self, operation: &str, form: &BTreeMap<String, String>) -> Fate {
        let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let before = self.cloudformation.named().cloned();
        let version = self.cloudformation.now;
        let (world, chance) = (&mut self.cloudformation, &mut self.chance);
        let token = text("ClientRequestToken");
        let done = match operation {
            "DescribeStacks" => return self.describe(text("StackName")),
            "DescribeStackEvents" => return self.events(text("StackName")),
            "ListStackResources" => Ok("<StackResourceSummaries/>".to_owned()),
            "GetTemplateSummary" => Ok("<ResourceTypes/>".to_owned()),
            "DescribeChangeSet" => return self.describe_set(text("ChangeSetName")),
            "CreateChangeSet" => world
                .create_change_set(
                    text("StackName"),
                    text("ChangeSetName"),
                    text("ClientToken"),
                    text("ChangeSetType") == "CREATE",
                    chance,
                )
                .map(|(id, stack)| format!("<Id>{id}</Id><StackId>{stack}</StackId>")),
            "ExecuteChangeSet" => world
                .execute(text("ChangeSetName"), token, chance)
                .map(|()| String::new()),
            "DeleteChangeSet" => world.discard(text("ChangeSetName")).map(|()| String::new()),
            "DeleteStack" => world
                .delete(text("StackName"), token, chance)
                .map(|()| String::new()),
            "RollbackStack" => world
                .roll_back(text("StackName"), token, chance)
                .map(|()| String::new()),
            "ContinueUpdateRollback" => world
                .continue_rollback(text("StackName"), token, chance)
                .map(|()| String::new()),
            other => panic!("the model has no {other}"),
        };
        if self.cloudformation.now != version && self.chance.one_in(3) {
            self.late = Some((before, LATE));
            self.cloudformation.disturbed = true;
        }
        answer(operation, done)
    }

    fn describe(&mut self, name: &str) -> Fate {
        let mut seen = self
            .cloudformation
            .meant(name)
            .map(|at| self.cloudformation.stacks[at].clone());
        if let Some((before, left)) = self.late.take()
            && left > 0
        {
            let same = match &before {
                Some(before) => before.arn == name || name == NAME,
                None => name == NAME,
            };
            if same {
                self.late = Some((before.clone(), left - 1));
                seen = before;
            }
        }
        let Some(stack) = seen else {
            return refuse(
                400,
                "ValidationError",
                &format!("Stack with id {name} does not exist"),
            );
        };
        let mut text = format!(
            "<Stacks><member><StackId>{}</StackId><StackName>{NAME}</StackName><StackStatus>{}</StackStatus><CreationTime>{}</CreationTime>",
            stack.arn,
            stack.status,
            self.time(0)
        );
        if let Some(at) = stack.updated {
            let _ = write!(text, "<LastUpdatedTime>{}</LastUpdatedTime>", self.time(at));
        }
        if let Some(set) = &stack.change_set {
            let _ = write!(text, "<ChangeSetId>{set}</ChangeSetId>");
        }
        text.push_str("</member></Stacks>");
        answer("DescribeStacks", Ok(text))
    }

    fn describe_set(&self, name: &str) -> Fate {
        answer(
            "DescribeChangeSet",
            self.cloudformation.change_set(name).map(|set| {
                format!(
                    "<ChangeSetId>{}</ChangeSetId><StackId>{}</StackId><Status>{}</Status><ExecutionStatus>{}</ExecutionStatus><StatusReason>{}</StatusReason><Changes/>",
                    set.arn, set.stack, set.status, set.execution, set.reason
                )
            }),
        )
    }

    fn events(&self, name: &str) -> Fate {
        let Some(at) = self.cloudformation.meant(name) else {
            return refuse(
                400,
                "ValidationError",
                &format!("Stack [{name}] does not exist"),
            );
        };
        let arn = &self.cloudformation.stacks[at].arn;
        let mut text = "<StackEvents>".to_owned();
        for (number, event) in self.cloudformation.events.iter().enumerate().rev() {
            if event.stack != *arn {
                continue;
            }
            let (id, kind, status, reason) = if event.failed_resource {
                ("Thing", "AWS::SNS::Topic", "CREATE_FAILED", "no such luck")
            } else {
                (
                    NAME,
                    "AWS::CloudFormation::Stack",
                    event.status.as_str(),
                    "",
                )
            };
            let token = event.token.as_deref().map_or_else(String::new, |token| {
                format!("<ClientRequestToken>{token}</ClientRequestToken>")
            });
            let physical = if event.failed_resource { "" } else { arn };
            let _ = write!(
                text,
                "<member><EventId>{number}</EventId><StackId>{arn}</StackId><StackName>{NAME}</StackName><LogicalResourceId>{id}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId><ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus><ResourceStatusReason>{reason}</ResourceStatusReason><Timestamp>{}</Timestamp>{token}</member>",
                self.time(event.at)
            );
        }
        text.push_str("</StackEvents>");
        answer("DescribeStackEvents", Ok(text))
    }

    /// The status that the stack has in truth.
    pub(crate) fn status(&self) -> Option<StackStatus> {
        self.cloudformation.named().map(|stack| stack.status)
    }
}

/// CodePipeline: a job's result.
pub(crate) fn settle(reports: &mut Vec<(String, Value)>, target: &str, body: &[u8]) -> Fate {
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let body: Value = serde_json::from_slice(body).expect("JSON");
    if reports
        .iter()
        .any(|(_, other)| other["jobId"] == body["jobId"])
    {
        return Fate::Answer(
            400,
            r#"{"__type": "InvalidJobStateException", "message": "it is settled"}"#.to_owned(),
        );
    }
    reports.push((operation, body));
    Fate::Answer(200, "{}".to_owned())
}

pub(crate) fn answer(operation: &str, result: Result<String, Refusal>) -> Fate {
    match result {
        Ok(text) => Fate::Answer(
            200,
            format!(
                "<{operation}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><{operation}Result>{text}</{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
            ),
        ),
        Err((code, message)) => refuse(400, code, &message),
    }
}

pub(crate) fn refuse(status: u16, code: &str, message: &str) -> Fate {
    Fate::Answer(
        status,
        format!(
            "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

//! Histories of `action=delete` with its ladder, and of dry runs of `action=sweep`, in a Region with several stacks: nested ones,
//! protected ones, such as others import from, with full buckets and with resources that cannot be deleted.
//!
//! What is held: nothing goes, and no bucket is emptied, but what was asked for and may go at that very moment; nothing
//! is retained or forced that was not allowed; nothing goes in a dry run; and what is told to be deleted is gone.

mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::Value;
use towpath_stack::StackStatus as S;

use self::stack::{Kind, Resource, Stack, arn, resources};
use crate::chance::Chance;
use crate::wire::{Fate, Lives, Wire, answer, refuse, settle};

/// How many reads may still show a stack as it was before its deletion was asked for.
const LATE: u32 = 3;

/// What is asked of the action.
#[derive(Debug)]
struct Asked {
    /// A sweep; else the deletion of the first stack.
    sweep: bool,
    prefix: bool,
    dry_run: bool,
    cap: usize,
    empty: bool,
    retain: bool,
    force: bool,
}

impl Asked {
    fn by(chance: &mut Chance) -> Self {
        let sweep = chance.one_in(2);
        Self {
            sweep,
            prefix: sweep && chance.one_in(2),
            // One that deletes keeps what it has to remember in an artifact, and there is no store for one here.
            dry_run: sweep,
            cap: usize::try_from(chance.below(3) + 1).expect("small"),
            empty: chance.one_in(2),
            retain: chance.one_in(3),
            force: chance.one_in(4),
        }
    }

    fn parameters(&self) -> String {
        let mut text = if self.sweep {
            let dry_run = if self.dry_run { "on" } else { "off" };
            format!("action=sweep&cap={}&dry-run={dry_run}", self.cap)
        } else {
            "action=delete&stack=app-0".to_owned()
        };
        for (is, words) in [
            (self.prefix, "&prefix=app-"),
            (self.empty, "&empty-buckets=on"),
            (self.retain, "&retain=leftovers"),
            (self.force, "&force=on"),
        ] {
            if is {
                text.push_str(words);
            }
        }
        text
    }
}

/// A Region.
#[derive(Debug)]
struct Region {
    asked: Asked,
    chance: Chance,
    faults: bool,
    dies_at: Option<u32>,
    stacks: Vec<Stack>,
    reports: Vec<(String, Value)>,
    trace: Vec<String>,
    wrong: Vec<String>,
    /// The stacks whose deletion was begun.
    ended: BTreeSet<usize>,
    meddled: bool,
}

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2999-01-01T00:00:00Z";

/// One history. The error says what was wrong, and all that happened.
pub(crate) async fn history(seed: u64) -> Result<(), String> {
    let mut chance = Chance::of(seed);
    let asked = Asked::by(&mut chance);
    let parameters = asked.parameters();
    let quiet = chance.one_in(3);
    let wire = Wire::to(Region::new(asked, chance, !quiet));
    let began = wire.with(|region| format!("{:#?}", region.stacks));
    let report = crate::run(&wire, &parameters, quiet).await;
    wire.with(|region| {
        let wrong = region.judge(report.as_ref());
        wrong.map_or(Ok(()), |wrong| {
            Err(format!(
                "{wrong}\nasked: {parameters}, of\n{began}\nreport: {report:?}\n{}",
                region.trace.join("\n")
            ))
        })
    })
}

impl Region {
    fn new(asked: Asked, mut chance: Chance, faults: bool) -> Self {
        let mut stacks = Vec::new();
        for number in 0..=chance.below(5) {
            let status = S::ALL[usize::try_from(chance.below(S::ALL.len() as u64)).expect("small")];
            let settled = !status.as_str().ends_with("_IN_PROGRESS") && status != S::DeleteComplete;
            // A stack that something is being done to stays so here: that it ends is for the other histories.
            let busy = asked.sweep && chance.one_in(4) && status != S::DeleteComplete;
            let other = number > 0 && chance.one_in(4);
            stacks.push(Stack {
                name: format!("{}-{number}", if other { "other" } else { "app" }),
                status: if settled || busy {
                    status
                } else {
                    S::CreateComplete
                },
                ephemeral: !chance.one_in(4),
                end: [
                    Some(PAST),
                    Some(PAST),
                    Some(PAST),
                    Some(FUTURE),
                    Some("soon"),
                    None,
                ][usize::try_from(chance.below(6)).expect("small")],
                protected: chance.one_in(6),
                parent: None,
                imported: chance.one_in(6),
                resources: resources(&mut chance),
                deletion: None,
                refused: None,
                tokens: BTreeSet::new(),
                late: None,
            });
        }
        // A nested stack has the tags of the one that it belongs to.
        if chance.one_in(2) {
            let child = stacks.len();
            let of = &stacks[0];
            let nested = Stack {
                name: format!("{}-Nested", of.name),
                status: S::CreateComplete,
                ephemeral: of.ephemeral,
                end: of.end,
                protected: false,
                parent: Some(0),
                imported: false,
                resources: resources(&mut chance),
                deletion: None,
                refused: None,
                tokens: BTreeSet::new(),
                late: None,
            };
            stacks[0].resources.push(Resource {
                id: "Nested".to_owned(),
                kind: Kind::Nested(child),
                kept: chance.one_in(5),
                status: "CREATE_COMPLETE",
                reason: "",
            });
            stacks.push(nested);
        }
        Self {
            asked,
            chance,
            faults,
            dies_at: None,
            stacks,
            reports: Vec::new(),
            trace: Vec::new(),
            wrong: Vec::new(),
            ended: BTreeSet::new(),
            meddled: false,
        }
    }

    /// Whether this stack may be deleted now; else why not.
    fn may_go(&self, at: usize) -> Result<(), &'static str> {
        let stack = &self.stacks[at];
        let checks = if self.asked.sweep {
            [
                (self.asked.dry_run, "in a dry run"),
                (stack.parent.is_some(), "and is nested"),
                (!stack.ephemeral, "and has no mark"),
                (stack.end != Some(PAST), "and has not expired"),
                (
                    self.asked.prefix && !stack.name.starts_with("app-"),
                    "and has another name",
                ),
            ]
        } else {
            [(at != 0, "and is another"); 5]
        };
        checks
            .into_iter()
            .chain([(stack.protected, "and is protected")])
            .find(|(is, _)| *is)
            .map_or(Ok(()), |(_, why)| Err(why))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.stacks.iter().position(|stack| {
            arn(&stack.name) == name || stack.name == name && stack.status != S::DeleteComplete
        })
    }

    fn act(&mut self, operation: &str, form: &BTreeMap<String, String>) -> Fate {
        let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let name = text("StackName");
        let absent = || {
            refuse(
                400,
                "ValidationError",
                &format!("Stack with id {name} does not exist"),
            )
        };
        match operation {
            "DescribeStacks" if name.is_empty() => {
                let all: String = self
                    .stacks
                    .iter_mut()
                    .filter(|stack| stack.status != S::DeleteComplete)
                    .map(Stack::described)
                    .collect();
                answer(operation, Ok(format!("<Stacks>{all}</Stacks>")))
            }
            "DescribeStacks" => self.place(name).map_or_else(absent, |at| {
                let told = self.stacks[at].described();
                answer(operation, Ok(format!("<Stacks>{told}</Stacks>")))
            }),
            "DescribeStackEvents" => answer(operation, Ok("<StackEvents/>".to_owned())),
            "ListChangeSets" => answer(operation, Ok("<Summaries/>".to_owned())),
            "ListImports" => {
                let export = text("ExportName");
                if self
                    .stacks
                    .iter()
                    .any(|stack| stack.imported && stack.export() == export)
                {
                    let imports = "<Imports><member>importer</member></Imports>".to_owned();
                    return answer(operation, Ok(imports));
                }
                let words = format!("Export '{export}' is not imported by any stack.");
                refuse(400, "ValidationError", &words)
            }
            "ListStackResources" => self.place(name).map_or_else(absent, |at| {
                answer(operation, Ok(self.stacks[at].summaries()))
            }),
            "GetTemplate" => self.place(name).map_or_else(absent, |at| {
                let body = self.stacks[at].template();
                answer(
                    operation,
                    Ok(format!("<TemplateBody>{body}</TemplateBody>")),
                )
            }),
            "DeleteStack" => match self.place(name) {
                Some(at) => self.delete(at, form),
                None => answer(operation, Ok(String::new())),
            },
            other => panic!("the Region has no {other}"),
        }
    }

    fn delete(&mut self, at: usize, form: &BTreeMap<String, String>) -> Fate {
        let done = || answer("DeleteStack", Ok(String::new()));
        let token = form.get("ClientRequestToken").cloned().unwrap_or_default();
        let retained: BTreeSet<String> = form
            .iter()
            .filter(|(key, _)| key.starts_with("RetainResources.member."))
            .map(|(_, value)| value.clone())
            .collect();
        let forced = form
            .get("DeletionMode")
            .is_some_and(|mode| mode == "FORCE_DELETE_STACK");
        let stack = &self.stacks[at];
        if matches!(stack.status, S::DeleteComplete | S::DeleteInProgress)
            || stack.tokens.contains(&token)
        {
            return done();
        }
        let (name, status) = (stack.name.clone(), stack.status);
        if let Err(why) = self.may_go(at) {
            self.wrong
                .push(format!("{name} is deleted, which is {status}, {why}"));
        }
        if status.is_under_way() || (self.asked.sweep && status.as_str().ends_with("_IN_PROGRESS"))
        {
            self.wrong
                .push(format!("{name} is deleted, which is {status}"));
        }
        if (!retained.is_empty() && !self.asked.retain) || (forced && !self.asked.force) {
            self.wrong
                .push(format!("{name} is deleted with more than was allowed"));
        }
        let failed = |id: &String| {
            stack
                .resources
                .iter()
                .any(|one| one.id == *id && one.status == "DELETE_FAILED")
        };
        let fits = status == S::DeleteFailed && retained.iter().all(failed);
        if (forced || !retained.is_empty()) && !fits {
            self.wrong.push(format!(
                "{name}, which is {status}, is to be deleted without {retained:?}"
            ));
            return refuse(400, "ValidationError", "it has not failed to be deleted");
        }
        if stack.protected {
            let words = "Stack cannot be deleted while TerminationProtection is enabled";
            return refuse(400, "ValidationError", words);
        }
        let imported = stack.imported;
        if imported && !self.meddled {
            self.wrong
                .push(format!("{name} is deleted, and others import from it"));
        }
        if self.asked.sweep {
            self.ended.insert(at);
            if self.ended.len() > self.asked.cap {
                self.wrong.push("more stacks go than may".to_owned());
            }
        }
        let late = self.chance.one_in(3);
        let stack = &mut self.stacks[at];
        stack.late = late.then_some((status, LATE));
        stack.tokens.insert(token);
        stack.refused = imported.then_some(status);
        stack.deletion = Some((retained, forced));
        stack.status = S::DeleteInProgress;
        done()
    }

    /// The deletion of a stack comes to its end. Tells whether the stack is gone.
    fn finish(&mut self, at: usize) -> bool {
        let (retained, forced) = self.stacks[at].deletion.take().unwrap_or_default();
        if let Some(before) = self.stacks[at].refused.take() {
            self.stacks[at].status = before;
            return false;
        }
        let mut gone = true;
        for number in 0..self.stacks[at].resources.len() {
            let one = &self.stacks[at].resources[number];
            if matches!(one.status, "DELETE_COMPLETE" | "DELETE_SKIPPED") {
                continue;
            }
            let kind = one.kind;
            let stays = one.kept || retained.contains(&one.id);
            let (status, reason) = match kind {
                _ if stays => ("DELETE_SKIPPED", ""),
                Kind::Bucket(1..) => (
                    "DELETE_FAILED",
                    "The bucket you tried to delete is not empty",
                ),
                Kind::Topic { stuck: true } => ("DELETE_FAILED", "no such luck"),
                Kind::Nested(child) if !self.finish(child) && !forced => (
                    "DELETE_FAILED",
                    "Embedded stack was not successfully deleted",
                ),
                _ => ("DELETE_COMPLETE", ""),
            };
            gone &= status != "DELETE_FAILED" || forced;
            let one = &mut self.stacks[at].resources[number];
            (one.status, one.reason) = (status, reason);
        }
        self.stacks[at].status = if gone {
            S::DeleteComplete
        } else {
            S::DeleteFailed
        };
        gone
    }

    /// S3: the versions in a bucket, their end, and uploads.
    fn bucket(&mut self, request: &HttpRequest) -> Fate {
        let uri = request.uri().to_owned();
        let path = uri.split("127.0.0.1:9").nth(1).unwrap_or(&uri);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let name = path.trim_matches('/').to_owned();
        let found = (0..self.stacks.len()).find_map(|at| {
            let all = &self.stacks[at].resources;
            let number = all.iter().position(|one| {
                matches!(one.kind, Kind::Bucket(_)) && self.stacks[at].physical(one) == name
            })?;
            Some((at, number))
        });
        let Some((at, number)) = found else {
            panic!("there is no bucket {name} ({uri})");
        };
        if query.contains("uploads") {
            return Fate::Answer(200, "<ListMultipartUploadsResult/>".to_owned());
        }
        let left = match self.stacks[at].resources[number].kind {
            Kind::Bucket(left) => left,
            _ => 0,
        };
        if request.method() != "POST" {
            let mut all = String::new();
            for object in 0..left {
                let _ = write!(
                    all,
                    "<Version><Key>{object}</Key><VersionId>v</VersionId></Version>"
                );
            }
            return Fate::Answer(
                200,
                format!("<ListVersionsResult>{all}</ListVersionsResult>"),
            );
        }
        // Which stack's end it is part of.
        let mut of = at;
        let mut kept = self.stacks[at].resources[number].kept;
        while let Some(parent) = self.stacks[of].parent {
            kept |= self.stacks[parent]
                .resources
                .iter()
                .any(|one| one.kind == Kind::Nested(of) && one.kept);
            of = parent;
        }
        let why = if !self.asked.empty {
            Some("though that was not asked for")
        } else if kept {
            Some("though it is to outlive the stack")
        } else if self.stacks[of].imported && !self.meddled {
            Some("though others import from the stack")
        } else {
            self.may_go(of).err()
        };
        if let Some(why) = why {
            self.wrong.push(format!("bucket {name} is emptied, {why}"));
        }
        self.stacks[at].resources[number].kind = Kind::Bucket(0);
        Fate::Answer(200, "<DeleteResult/>".to_owned())
    }

    fn judge(&self, report: Option<&(String, Value)>) -> Option<String> {
        if let Some(wrong) = self.wrong.first() {
            return Some(wrong.clone());
        }
        let Some((operation, body)) = report else {
            return Some("it does not end".to_owned());
        };
        let message = body["failureDetails"]["message"].as_str();
        if message.is_some_and(|text| text.contains("panicked")) {
            return Some("it panicked".to_owned());
        }
        if operation != "PutJobSuccessResult" {
            return None;
        }
        let gone = |at: usize| self.stacks[at].status == S::DeleteComplete;
        if !self.asked.sweep {
            return (!gone(0)).then(|| "it reports success, and the stack is there".to_owned());
        }
        let told = &body["outputVariables"]["Deleted"];
        let deleted = self.ended.iter().filter(|at| gone(**at)).count();
        let counted = told.as_str().and_then(|told| told.parse().ok());
        if !self.meddled && counted != Some(deleted) {
            return Some(format!("it tells of {told} stacks, and deleted {deleted}"));
        }
        let settled = |at: usize| !self.stacks[at].status.as_str().ends_with("_IN_PROGRESS");
        let forgotten =
            (0..self.stacks.len()).any(|at| !gone(at) && settled(at) && self.may_go(at).is_ok());
        (forgotten && !self.meddled && deleted < self.asked.cap)
            .then(|| "it reports success, and leaves what has expired".to_owned())
    }
}

impl Lives for Region {
    fn answer(&mut self, request: &HttpRequest) -> Fate {
        let body = request.body().bytes().unwrap_or_default();
        if let Some(target) = request.headers().get("x-amz-target") {
            return settle(&mut self.reports, target, body);
        }
        let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(body).unwrap_or_default();
        let operation = form.get("Action").cloned();
        let told = operation
            .clone()
            .unwrap_or_else(|| format!("{} {}", request.method(), request.uri()));
        let act = |region: &mut Self| match &operation {
            Some(operation) => region.act(operation, &form),
            None => region.bucket(request),
        };
        if let Some(left) = &mut self.dies_at {
            if *left == 0 {
                self.dies_at = None;
                if self.chance.one_in(2) {
                    let _ = act(self);
                }
                self.trace.push(format!("{told}: the function dies"));
                return Fate::Dies;
            }
            *left -= 1;
        }
        let fault = if self.faults {
            self.chance.below(40)
        } else {
            99
        };
        let fate = match fault {
            0 => refuse(400, "Throttling", "Rate exceeded"),
            1 => Fate::Answer(500, "<html>".to_owned()),
            2 => Fate::Cut,
            3 => {
                let _ = act(self);
                Fate::Cut
            }
            _ => act(self),
        };
        let states: Vec<&str> = self.stacks.iter().map(|one| one.status.as_str()).collect();
        let name = form.get("StackName").map_or("", String::as_str);
        self.trace
            .push(format!("{told} {name} ({fault}): {states:?}"));
        fate
    }

    fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }

    fn dies_at(&mut self, calls: Option<u32>) {
        // One look at all the stacks takes more calls than one at a single stack.
        self.dies_at =
            calls.map(|calls| calls * 4 + u32::try_from(self.chance.below(4)).unwrap_or(0));
    }

    fn reports(&self) -> &[(String, Value)] {
        &self.reports
    }

    fn pass(&mut self, meddled: bool) {
        for at in 0..self.stacks.len() {
            if self.stacks[at].deletion.is_some() && self.chance.one_in(2) {
                self.finish(at);
            }
        }
        if !(meddled || self.faults && self.chance.one_in(12)) {
            return;
        }
        self.meddled = true;
        let at = usize::try_from(self.chance.below(self.stacks.len() as u64)).expect("small");
        let deed = self.chance.below(4);
        let stack = &mut self.stacks[at];
        let stands = matches!(
            stack.status,
            S::CreateComplete | S::UpdateComplete | S::UpdateRollbackComplete
        );
        match deed {
            // It is deployed anew, and lives on. A nested one goes with the one that it belongs to.
            0 if stands && stack.parent.is_none() => {
                stack.status = S::UpdateComplete;
                stack.end = Some(FUTURE);
            }
            1 => stack.protected = stack.parent.is_none(),
            2 if stands => stack.imported = stack.parent.is_none(),
            _ => {
                for one in &mut stack.resources {
                    if matches!(one.kind, Kind::Bucket(_)) && one.status == "CREATE_COMPLETE" {
                        one.kind = Kind::Bucket(2);
                    }
                }
            }
        }
        self.trace
            .push(format!("somebody else meddles with {at}: {deed}"));
    }
}

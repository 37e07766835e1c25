//! A stack that comes to its end: what it holds, and how CloudFormation shows it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use towpath_stack::StackStatus as S;

use crate::chance::Chance;

/// What is in the way of a resource's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bucket with so many objects.
    Bucket(u64),
    /// Nothing is, or it will never go.
    Topic { stuck: bool },
    /// Another stack, by its place.
    Nested(usize),
}

#[derive(Debug)]
pub(super) struct Resource {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// The template says `Retain` or `RetainExceptOnCreate`.
    pub(super) kept: bool,
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Debug)]
pub(super) struct Stack {
    pub(super) name: String,
    pub(super) status: S,
    pub(super) ephemeral: bool,
    /// Its `towpath:expires-at`.
    pub(super) end: Option<&'static str>,
    pub(super) protected: bool,
    pub(super) parent: Option<usize>,
    pub(super) imported: bool,
    pub(super) resources: Vec<Resource>,
    /// What was asked for: which resources stay, and whether whatever remains does.
    pub(super) deletion: Option<(BTreeSet<String>, bool)>,
    /// Where it goes back to when the deletion is refused.
    pub(super) refused: Option<S>,
    pub(super) tokens: BTreeSet<String>,
    pub(super) late: Option<(S, u32)>,
}

impl Stack {
    pub(super) fn export(&self) -> String {
        format!("{}-export", self.name)
    }

    pub(super) fn physical(&self, one: &Resource) -> String {
        format!("{}-{}", self.name, one.id).to_lowercase()
    }

    pub(super) fn described(&mut self) -> String {
        let mut status = self.status;
        if let Some((before, left)) = self.late.take()
            && left > 0
        {
            status = before;
            self.late = Some((before, left - 1));
        }
        let mut tags = String::new();
        let end = self.end.map(|end| ("towpath:expires-at", end));
        let mark = self.ephemeral.then_some(("towpath:ephemeral", "true"));
        for (key, value) in mark.into_iter().chain(end) {
            let _ = write!(
                tags,
                "<member><Key>{key}</Key><Value>{value}</Value></member>"
            );
        }
        // By the rules of nested stacks a child has the root's ARN here; ours are one deep.
        let parent = self.parent.map_or_else(String::new, |_| {
            format!("<ParentId>{}</ParentId>", arn("app-0"))
        });
        format!(
            "<member><StackId>{}</StackId><StackName>{}</StackName><StackStatus>{status}</StackStatus><CreationTime>2020-01-01T00:00:00Z</CreationTime><EnableTerminationProtection>{}</EnableTerminationProtection><Outputs><member><OutputKey>Out</OutputKey><OutputValue>v</OutputValue><ExportName>{}</ExportName></member></Outputs><Tags>{tags}</Tags>{parent}</member>",
            arn(&self.name),
            self.name,
            self.protected,
            self.export(),
        )
    }

    pub(super) fn summaries(&self) -> String {
        let mut all = String::new();
        for one in &self.resources {
            let physical = match one.kind {
                Kind::Nested(_) => arn(&format!("{}-Nested", self.name)),
                _ => self.physical(one),
            };
            let _ = write!(
                all,
                "<member><LogicalResourceId>{}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId><ResourceType>{}</ResourceType><ResourceStatus>{}</ResourceStatus><ResourceStatusReason>{}</ResourceStatusReason><LastUpdatedTimestamp>2020-01-01T00:00:00Z</LastUpdatedTimestamp></member>",
                one.id,
                one.kind.words(),
                one.status,
                one.reason
            );
        }
        format!("<StackResourceSummaries>{all}</StackResourceSummaries>")
    }

    pub(super) fn template(&self) -> String {
        let mut text = "Resources:\n".to_owned();
        for (number, one) in self.resources.iter().enumerate() {
            let policy = match (one.kept, number % 2) {
                (false, _) => "Delete",
                (true, 0) => "Retain",
                (true, _) => "RetainExceptOnCreate",
            };
            let _ = write!(
                text,
                "  {}:\n    Type: {}\n    DeletionPolicy: {policy}\n",
                one.id,
                one.kind.words()
            );
        }
        text
    }
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Bucket(_) => "AWS::S3::Bucket",
            Self::Topic { .. } => "AWS::SNS::Topic",
            Self::Nested(_) => "AWS::CloudFormation::Stack",
        }
    }
}

pub(super) fn resources(chance: &mut Chance) -> Vec<Resource> {
    let one = |id: &str, kind: Kind, kept: bool| Resource {
        id: id.to_owned(),
        kind,
        kept,
        status: "CREATE_COMPLETE",
        reason: "",
    };
    let stuck = chance.one_in(6);
    let mut all = vec![one("Topic", Kind::Topic { stuck }, false)];
    for id in ["Assets", "Logs"] {
        if chance.one_in(2) {
            all.push(one(id, Kind::Bucket(chance.below(3)), chance.one_in(4)));
        }
    }
    all
}

pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:cloudformation:eu-west-1:111111111111:stack/{name}/1")
}

//! The gate before an execution: what a plan would lose, and whether that was allowed.
//!
//! CloudFormation replaces a database as readily as a log group. What counts here is whether the resource that goes holds
//! data that is nowhere else, and what AWS says becomes of it: one that is retained, or of which a snapshot is taken, is
//! not lost.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::STACK_TYPE;
use crate::plan::{Action, Plan, Planned, Recreates};

/// Types whose resources hold what people or programs put into them after they were made.
///
/// A nested stack is among them, for it may hold any of the others. A parameter of SSM is not: its value is the
/// template's. A log group is not, either: it goes with what wrote it. [`Policy::stateful`] adds others.
const STATEFUL: [&str; 77] = [
    "AWS::ACMPCA::CertificateAuthority",
    "AWS::AmazonMQ::Broker",
    "AWS::Amplify::App",
    "AWS::Backup::BackupVault",
    "AWS::Backup::LogicallyAirGappedBackupVault",
    "AWS::Cassandra::Keyspace",
    "AWS::Cassandra::Table",
    STACK_TYPE,
    "AWS::CloudFront::KeyValueStore",
    "AWS::CloudTrail::EventDataStore",
    "AWS::CodeArtifact::Domain",
    "AWS::CodeArtifact::Repository",
    "AWS::CodeCommit::Repository",
    "AWS::Cognito::IdentityPool",
    "AWS::Cognito::UserPool",
    "AWS::DAX::Cluster",
    "AWS::DocDB::DBCluster",
    "AWS::DocDB::GlobalCluster",
    "AWS::DocDBElastic::Cluster",
    "AWS::DSQL::Cluster",
    "AWS::DynamoDB::GlobalTable",
    "AWS::DynamoDB::Table",
    "AWS::EC2::Volume",
    "AWS::ECR::PublicRepository",
    "AWS::ECR::Repository",
    "AWS::EFS::FileSystem",
    "AWS::ElastiCache::CacheCluster",
    "AWS::ElastiCache::ReplicationGroup",
    "AWS::ElastiCache::ServerlessCache",
    "AWS::Elasticsearch::Domain",
    "AWS::FSx::FileSystem",
    "AWS::FSx::Volume",
    "AWS::HealthImaging::Datastore",
    "AWS::HealthLake::FHIRDatastore",
    "AWS::IoTAnalytics::Datastore",
    "AWS::Kendra::Index",
    "AWS::Kinesis::Stream",
    "AWS::KinesisVideo::Stream",
    "AWS::KMS::Key",
    "AWS::Lightsail::Bucket",
    "AWS::Lightsail::Database",
    "AWS::Lightsail::Disk",
    "AWS::MemoryDB::Cluster",
    "AWS::MemoryDB::MultiRegionCluster",
    "AWS::MSK::Cluster",
    "AWS::MSK::ServerlessCluster",
    "AWS::Neptune::DBCluster",
    "AWS::Neptune::GlobalCluster",
    "AWS::NeptuneGraph::Graph",
    "AWS::OpenSearchServerless::Collection",
    "AWS::OpenSearchServerless::Index",
    "AWS::OpenSearchService::Domain",
    "AWS::QLDB::Ledger",
    "AWS::RDS::DBCluster",
    "AWS::RDS::DBInstance",
    "AWS::RDS::GlobalCluster",
    "AWS::Redshift::Cluster",
    "AWS::RedshiftServerless::Namespace",
    "AWS::Rekognition::Collection",
    "AWS::Route53::HostedZone",
    "AWS::S3::Bucket",
    "AWS::S3Express::DirectoryBucket",
    "AWS::S3Files::FileSystem",
    "AWS::S3Outposts::Bucket",
    "AWS::S3Tables::Namespace",
    "AWS::S3Tables::Table",
    "AWS::S3Tables::TableBucket",
    "AWS::S3Vectors::Index",
    "AWS::S3Vectors::VectorBucket",
    "AWS::SDB::Domain",
    "AWS::SecretsManager::Secret",
    "AWS::SQS::Queue",
    "AWS::Timestream::Database",
    "AWS::Timestream::InfluxDBCluster",
    "AWS::Timestream::InfluxDBInstance",
    "AWS::Timestream::Table",
    "AWS::VerifiedPermissions::PolicyStore",
];

/// What may be lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whatever the plan says.
    pub everything: bool,
    /// These resources, by name.
    pub named: BTreeSet<String>,
    /// More types that hold data.
    pub stateful: BTreeSet<String>,
}

/// A resource that holds data and would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Its name in the template, with the nested stacks that it is in: `Nested.Table`.
    pub resource: String,
    /// Such as `AWS::DynamoDB::Table`.
    pub resource_type: String,
    /// Its own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical_id: Option<String>,
    /// How it goes.
    pub action: Action,
    /// What replaces it, in words: `TableName: a -> b`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// Losses as a message tells them, one behind the other.
pub fn told(losses: &[Loss]) -> String {
    let all: Vec<String> = losses.iter().map(ToString::to_string).collect();
    all.join("; ")
}

/// The names of what would go, as `allow-loss=` takes them.
pub fn names(losses: &[Loss]) -> String {
    let names: Vec<&str> = losses.iter().map(|loss| loss.resource.as_str()).collect();
    names.join(",")
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}", self.resource, self.resource_type)?;
        if let Some(id) = &self.physical_id {
            write!(f, ", {id}")?;
        }
        f.write_str(match self.action {
            Action::Remove => ") is removed",
            Action::Replace => ") is replaced",
            Action::MayReplace | Action::Unknown => ") is perhaps replaced",
            Action::Add | Action::Import | Action::Modify => ") goes",
        })?;
        match self.because.as_slice() {
            [] => Ok(()),
            because => write!(f, ", for {}", because.join(", ")),
        }
    }
}

/// What a plan would lose, whether it is allowed or not.
pub fn losses(plan: &Plan, stateful: &BTreeSet<String>) -> Vec<Loss> {
    plan.changes
        .iter()
        .filter(|planned| {
            let kind = planned.resource_type.as_str();
            STATEFUL.contains(&kind) || stateful.contains(kind)
        })
        .filter(|planned| goes(planned))
        .map(loss)
        .collect()
}

/// What of it was not allowed. Nothing: the plan may be executed.
pub fn judge(losses: &[Loss], policy: &Policy) -> Vec<Loss> {
    if policy.everything {
        return Vec::new();
    }
    losses
        .iter()
        .filter(|loss| !policy.named.contains(&loss.resource))
        .cloned()
        .collect()
}

/// Nested stacks whose inside could not be read, and that may not lose whatever they hold. None: the plan may be executed.
pub fn unjudged(plan: &Plan, policy: &Policy) -> Vec<String> {
    if policy.everything {
        return Vec::new();
    }
    plan.unread
        .iter()
        .filter(|name| !policy.named.contains(*name))
        .cloned()
        .collect()
}

/// Whether the physical resource is deleted, as far as AWS says. Where it does not say, it is.
fn goes(planned: &Planned) -> bool {
    let kept = matches!(
        planned.policy.as_deref(),
        Some("Retain" | "Snapshot" | "ReplaceAndRetain" | "ReplaceAndSnapshot")
    );
    match planned.action {
        Action::Remove | Action::Replace | Action::MayReplace => !kept,
        // A nested stack whose inside is not known until then is followed when it is known.
        Action::Unknown => !kept && planned.resource_type != STACK_TYPE,
        // AWS says of a nested stack that it is modified, and of its resources what becomes of them.
        Action::Modify => planned.policy.as_deref() == Some("ReplaceAndDelete"),
        Action::Add | Action::Import => false,
    }
}

fn loss(planned: &Planned) -> Loss {
    let because = planned
        .because
        .iter()
        .filter(|cause| cause.recreates != Recreates::Never)
        .map(|cause| match (&cause.before, &cause.after) {
            (Some(before), Some(after)) => format!("{}: {before} -> {after}", cause.what),
            _ => cause.what.clone(),
        })
        .collect();
    Loss {
        resource: planned.name(),
        resource_type: planned.resource_type.clone(),
        physical_id: planned.physical_id.clone(),
        action: planned.action,
        because,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Cause;

    fn planned(kind: &str, action: Action, policy: Option<&str>) -> Planned {
        Planned {
            within: Vec::new(),
            logical_id: "Thing".into(),
            physical_id: Some("thing-1".into()),
            resource_type: kind.into(),
            action,
            policy: policy.map(str::to_owned),
            because: Vec::new(),
        }
    }

    #[test]
    fn what_loses_data_is_what_holds_it_and_goes() {
        use Action::{Add, Import, MayReplace, Modify, Remove, Replace, Unknown};
        const TABLE: &str = "AWS::DynamoDB::Table";
        const ROLE: &str = "AWS::IAM::Role";
        const NESTED: &str = "AWS::CloudFormation::Stack";
        for (kind, action, policy, lost) in [
            (TABLE, Remove, Some("Delete"), true),
            (TABLE, Remove, None, true),
            (TABLE, Remove, Some("Retain"), false),
            (TABLE, Remove, Some("Snapshot"), false),
            (TABLE, Replace, Some("ReplaceAndDelete"), true),
            (TABLE, Replace, Some("ReplaceAndRetain"), false),
            (TABLE, Replace, Some("ReplaceAndSnapshot"), false),
            (TABLE, Replace, None, true),
            (TABLE, MayReplace, None, true),
            (TABLE, MayReplace, Some("ReplaceAndRetain"), false),
            (TABLE, Unknown, None, true),
            (TABLE, Modify, None, false),
            (TABLE, Modify, Some("ReplaceAndDelete"), true),
            (TABLE, Add, None, false),
            (TABLE, Import, None, false),
            (ROLE, Remove, Some("Delete"), false),
            (ROLE, Replace, Some("ReplaceAndDelete"), false),
            (NESTED, Remove, Some("Delete"), true),
            (NESTED, Modify, None, false),
            (NESTED, Unknown, None, false),
            ("Custom::Ledger", Remove, None, true),
        ] {
            let plan = Plan {
                changes: vec![planned(kind, action, policy)],
                ..Plan::default()
            };
            let stateful = ["Custom::Ledger".to_owned()].into();
            let found = losses(&plan, &stateful);
            assert_eq!(!found.is_empty(), lost, "{kind} {action:?} {policy:?}");
        }
    }

    #[test]
    fn a_loss_is_allowed_by_name_or_altogether() {
        let mut table = planned("AWS::DynamoDB::Table", Action::Replace, None);
        table.within = vec!["Data".into()];
        table.because = vec![Cause {
            what: "TableName".into(),
            before: Some("a".into()),
            after: Some("b".into()),
            recreates: Recreates::Always,
            dynamic: false,
            from: None,
        }];
        let plan = Plan {
            changes: vec![table],
            ..Plan::default()
        };
        let found = losses(&plan, &BTreeSet::new());
        assert_eq!(
            found[0].to_string(),
            "`Data.Thing` (AWS::DynamoDB::Table, thing-1) is replaced, for TableName: a -> b"
        );
        for (everything, named, stopped) in [
            (false, "", true),
            (false, "Thing", true),
            (false, "Data.Thing", false),
            (true, "", false),
        ] {
            let policy = Policy {
                everything,
                named: [named.to_owned()].into(),
                ..Policy::default()
            };
            assert_eq!(!judge(&found, &policy).is_empty(), stopped, "{policy:?}");
        }
    }

    #[test]
    fn what_could_not_be_read_is_allowed_by_name_or_altogether() {
        let plan = Plan {
            unread: vec!["Data".into(), "Data.Inner".into()],
            ..Plan::default()
        };
        for (everything, named, expected) in [
            (false, "", &["Data", "Data.Inner"][..]),
            (false, "Data", &["Data.Inner"]),
            (true, "", &[]),
        ] {
            let policy = Policy {
                everything,
                named: [named.to_owned()].into(),
                ..Policy::default()
            };
            assert_eq!(unjudged(&plan, &policy), expected, "{policy:?}");
        }
    }

    #[test]
    fn the_types_are_sorted_and_each_is_named_once() {
        let mut sorted = STATEFUL.to_vec();
        sorted.sort_by_key(|name| name.to_lowercase());
        sorted.dedup();
        let mut given = STATEFUL.to_vec();
        given.sort_by_key(|name| name.to_lowercase());
        assert_eq!(sorted, given);
    }
}

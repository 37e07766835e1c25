//! The action types: which are run here, which CodePipeline has beside them, and what each asks for.

use std::ops::RangeInclusive;

use super::ActionType;

/// What runs an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `Invoke`/`Lambda`: a function that reports to the pipeline.
    Lambda,
    /// `Source`/`CodeStarSourceConnection`: a repository behind a connection.
    Connection,
    /// `Source`/`S3`: an object.
    S3Source,
    /// `Approval`/`Manual`: a person.
    Approval,
}

/// What an action type asks of a definition.
pub(super) struct Entry {
    category: &'static str,
    name: &'static str,
    pub(super) provider: Provider,
    pub(super) inputs: RangeInclusive<usize>,
    pub(super) outputs: RangeInclusive<usize>,
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
}

/// Artifact counts and configuration keys as the action structure reference of the User Guide gives them.
const SERVED: [Entry; 4] = [
    Entry {
        category: "Source",
        name: "CodeStarSourceConnection",
        provider: Provider::Connection,
        inputs: 0..=0,
        outputs: 1..=1,
        required: &["ConnectionArn", "FullRepositoryId", "BranchName"],
        optional: &["OutputArtifactFormat", "DetectChanges"],
    },
    Entry {
        category: "Source",
        name: "S3",
        provider: Provider::S3Source,
        inputs: 0..=0,
        outputs: 1..=1,
        required: &["S3Bucket", "S3ObjectKey"],
        optional: &["PollForSourceChanges", "AllowOverrideForS3ObjectKey"],
    },
    Entry {
        category: "Invoke",
        name: "Lambda",
        provider: Provider::Lambda,
        inputs: 0..=5,
        outputs: 0..=5,
        required: &["FunctionName"],
        optional: &["UserParameters"],
    },
    Entry {
        category: "Approval",
        name: "Manual",
        provider: Provider::Approval,
        inputs: 0..=0,
        outputs: 0..=0,
        required: &[],
        optional: &["NotificationArn", "ExternalEntityLink", "CustomData"],
    },
];

/// What CodePipeline offers beside them, so that the refusal can tell a gap from a misspelling.
const ELSEWHERE: [(&str, &str); 29] = [
    ("Build", "CodeBuild"),
    ("Build", "ECRBuildAndPublish"),
    ("Build", "Jenkins"),
    ("Compute", "Commands"),
    ("Deploy", "AlexaSkillsKit"),
    ("Deploy", "AppConfig"),
    ("Deploy", "CloudFormation"),
    ("Deploy", "CloudFormationStackInstances"),
    ("Deploy", "CloudFormationStackSet"),
    ("Deploy", "CodeDeploy"),
    ("Deploy", "CodeDeployToECS"),
    ("Deploy", "EC2"),
    ("Deploy", "ECS"),
    ("Deploy", "EKS"),
    ("Deploy", "ElasticBeanstalk"),
    ("Deploy", "Lambda"),
    ("Deploy", "OpsWorks"),
    ("Deploy", "S3"),
    ("Deploy", "ServiceCatalog"),
    ("Invoke", "CodePipeline"),
    ("Invoke", "InspectorScan"),
    ("Invoke", "Snyk"),
    ("Invoke", "StepFunctions"),
    ("Source", "CodeCommit"),
    ("Source", "ECR"),
    ("Source", "GitHub"),
    ("Test", "CodeBuild"),
    ("Test", "DeviceFarm"),
    ("Test", "Jenkins"),
];

/// The entry of an action type.
pub(super) fn find(action_type: &ActionType) -> Option<&'static Entry> {
    SERVED.iter().find(|entry| {
        action_type.owner == "AWS"
            && action_type.version == "1"
            && action_type.category == entry.category
            && action_type.provider == entry.name
    })
}

/// The entry of an action that has been accepted.
pub(super) fn entry(provider: Provider) -> &'static Entry {
    match provider {
        Provider::Connection => &SERVED[0],
        Provider::S3Source => &SERVED[1],
        Provider::Lambda => &SERVED[2],
        Provider::Approval => &SERVED[3],
    }
}

/// Why an action type is not run here.
pub(super) fn refusal(action: &str, action_type: &ActionType, region: &str) -> String {
    let ActionType {
        category,
        owner,
        provider,
        version,
    } = action_type;
    // The service's own words, the region in capitals as it writes it.
    let mut text = format!(
        "ActionType (Category: '{category}', Provider: '{provider}', Owner: '{owner}', Version: '{version}') in action '{action}' is not available in region '{}'",
        region.to_uppercase().replace('-', "_")
    );
    let served: Vec<String> = SERVED
        .iter()
        .map(|entry| format!("{}/{}", entry.category, entry.name))
        .collect();
    if ELSEWHERE.contains(&(category.as_str(), provider.as_str())) || owner != "AWS" {
        text.push_str(": CodePipeline has such actions, but this engine does not run them");
    }
    text.push_str("; run here (owner AWS, version 1): ");
    text.push_str(&served.join(", "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_provider_is_its_own() {
        for entry in &SERVED {
            assert_eq!(super::entry(entry.provider).name, entry.name);
        }
    }
}

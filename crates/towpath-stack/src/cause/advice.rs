//! What a reason means: whose fault it is, and what to do about it. One line for each thing that AWS says.

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// A permission is missing.
    Permission,
    /// The set-up is wrong: a template, a parameter, a quota, a name.
    Configuration,
    /// A service did not answer, or asked for fewer calls: trying again may help.
    Unavailable,
    /// The deployment itself failed.
    Work,
}

/// What to make of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Whose fault it is.
    pub blame: Blame,
    /// What to do, in one sentence; `None` where the reason says all there is.
    pub hint: Option<&'static str>,
}

/// Reads a reason. The first line of the table that fits holds; words are compared without regard to case.
pub fn advise(reason: &str) -> Advice {
    let reason = reason.to_lowercase();
    TABLE
        .iter()
        .find(|(words, _, _)| words.iter().any(|word| reason.contains(word)))
        .map_or(
            Advice {
                blame: Blame::Work,
                hint: None,
            },
            |(_, blame, hint)| Advice {
                blame: *blame,
                hint: Some(hint),
            },
        )
}

/// Words in lower case, what they mean, what to do. Specific texts stand before the handlers' codes
/// (<https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html>), and those
/// before the codes of the services, because a reason may hold all three.
const TABLE: &[(&[&str], Blame, &str)] = &[
    (
        &["is invalid or cannot be assumed", "cannot be assumed by"],
        Blame::Permission,
        "see that the role exists, and let the service assume it in the role's trust policy; a role that has just been made takes some seconds, so retry the stage",
    ),
    (
        &["iam:passrole"],
        Blame::Permission,
        "allow iam:PassRole on the role that is named, in the policies of the role that CloudFormation assumes (role= in UserParameters)",
    ),
    (
        &[
            "handlererrorcode: accessdenied",
            "handlererrorcode: unauthorizedtaggingoperation",
            "not authorized to perform",
            "accessdenied",
            "access denied",
            "unauthorizedoperation",
            "api: s3:",
        ],
        Blame::Permission,
        "allow it in the policies of the role that CloudFormation assumes (role= in UserParameters), then retry the stage",
    ),
    (
        &[
            "handlererrorcode: invalidcredentials",
            "security token included in the request",
        ],
        Blame::Permission,
        "the role that CloudFormation assumes is gone or switched off; name one that exists with role= in UserParameters",
    ),
    (
        &["s3 error:", "templateurl must"],
        Blame::Configuration,
        "see the TemplateURL of the nested stacks: the object has to be there, in the stack's Region; test-and-package makes one of a template in the source (template= in its UserParameters)",
    ),
    (
        &[
            "is in use by",
            "as it is in use",
            "cannot update export",
            "cannot delete export",
        ],
        Blame::Configuration,
        "another stack imports this output: deploy that stack without the import first, then this one",
    ),
    (
        &["no export named"],
        Blame::Configuration,
        "deploy the stack that exports this name first, or correct the name",
    ),
    (
        &[
            "unable to retrieve arn attribute",
            "unresolved resource dependencies",
            "template format error",
            "template validation error",
            "properties validation failed",
            "encountered unsupported property",
            "extraneous key",
            "required key",
        ],
        Blame::Configuration,
        "correct the template where the reason says; `cfn-lint` finds such things before a deployment",
    ),
    (
        &["requires capabilities"],
        Blame::Configuration,
        "if the template may do that, add what is asked for to capabilities= in UserParameters, for example capabilities=CAPABILITY_IAM,CAPABILITY_AUTO_EXPAND",
    ),
    (
        &["changeset limit exceeded", "change set limit exceeded"],
        Blame::Configuration,
        "the stack has as many change sets as it may: delete those that nobody waits for (list-change-sets and delete-change-set of the AWS CLI), then retry the stage",
    ),
    (
        &[
            "awslambdacodestorage",
            "code storage limit exceeded",
            "limitexceeded",
            "limit exceeded",
            "servicelimitexceeded",
            "maximum number of",
            "too many buckets",
            "quota",
        ],
        Blame::Configuration,
        "a quota of the account is used up: ask for more in Service Quotas, or remove what is no longer used, then retry the stage",
    ),
    (
        &[
            "handlererrorcode: throttling",
            "rate exceeded",
            "toomanyrequests",
            "error code: throttling",
        ],
        Blame::Unavailable,
        "the service asked for fewer calls; retry the stage",
    ),
    (
        &[
            "handlererrorcode: serviceinternalerror",
            "handlererrorcode: servicetimeout",
            "handlererrorcode: networkfailure",
            "handlererrorcode: internalfailure",
            "handlererrorcode: handlerinternalfailure",
            "service unavailable",
            "internal failure",
        ],
        Blame::Unavailable,
        "the service failed by itself; retry the stage, and look at the AWS Health Dashboard if that does not help",
    ),
    (
        &[
            "handlererrorcode: alreadyexists",
            "already exists",
            "alreadyexistsexception",
            "bucketalreadyownedbyyou",
            "custom-named resource",
        ],
        Blame::Work,
        "something of that name exists outside this stack: delete it, import it into the stack, or take the fixed name out of the template so that CloudFormation makes one up",
    ),
    (
        &["handlererrorcode: notupdatable"],
        Blame::Configuration,
        "this property cannot be changed in place: give the resource another logical id, so that it is made anew",
    ),
    (
        &[
            "handlererrorcode: invalidtypeconfiguration",
            "handlererrorcode: invalidrequest",
            "handlererrorcode: modelvalidation",
        ],
        Blame::Configuration,
        "correct the resource's properties in the template as the reason says",
    ),
    (
        &[
            "handlererrorcode: notfound",
            "nosuchbucket",
            "nosuchkey",
            "does not exist",
        ],
        Blame::Work,
        "something that the resource needs is not there, or was deleted by hand: make it, or take it out of the template, then retry the stage",
    ),
    (
        &[
            "handlererrorcode: resourceconflict",
            "resourceconflictexception",
        ],
        Blame::Work,
        "something else was changing the resource; retry the stage",
    ),
    (
        &[
            "handlererrorcode: notstabilized",
            "did not stabilize",
            "failed to stabilize",
            "exceeded attempts to wait",
        ],
        Blame::Work,
        "the resource was made and did not come to work in time: look at its own events and logs",
    ),
    (
        &[
            "the bucket you tried to delete is not empty",
            "bucketnotempty",
        ],
        Blame::Work,
        "empty the bucket first, or keep it with DeletionPolicy: Retain",
    ),
    (
        &[
            "did not receive a response from your custom resource",
            "custom resource failed to stabilize",
        ],
        Blame::Work,
        "the function of the custom resource did not answer: it must send its response also when it fails; its log says where it stopped",
    ),
    (
        &[
            "received response status [failed] from custom resource",
            "failed to create resource",
            "failed to update resource",
            "failed to delete resource",
        ],
        Blame::Work,
        "the function of the custom resource reported a failure; its log says why",
    ),
    (
        &["codedeploy"],
        Blame::Work,
        "the traffic was shifted back, because an alarm rang or a hook failed; the deployment of CodeDeploy says which",
    ),
    (
        &["is in alarm state", "rollback trigger", "alarm state"],
        Blame::Work,
        "an alarm that watches the deployment rang, and CloudFormation went back: see what the alarm measures, and mend that",
    ),
    (
        &[
            "unable to find alarm",
            "invalid alarm",
            "alarms do not exist",
            "alarm(s) do not exist",
        ],
        Blame::Configuration,
        "make the alarm that is to watch the deployment before it, or take it out of the rollback triggers",
    ),
    (
        &["hook"],
        Blame::Configuration,
        "a hook of this account refuses the resource: change it as the hook asks, or ask who owns the hook",
    ),
    (
        &["action denied by stack policy"],
        Blame::Configuration,
        "the stack's policy protects the resource; allow the change there for the time of the deployment",
    ),
    (
        &[
            "replacement type updates not supported",
            "cannot update a stack when a custom-named resource requires replacing",
        ],
        Blame::Configuration,
        "the change needs the resource to be replaced: give it another name or logical id",
    ),
    (
        &["circular dependency"],
        Blame::Configuration,
        "take one of the references between the resources out of the template",
    ),
    (
        &["exceeded the specified timeout", "timed out"],
        Blame::Work,
        "the operation took longer than it may; see which resource was still in progress",
    ),
    (
        &["user initiated", "cancelled"],
        Blame::Work,
        "somebody cancelled the operation; retry the stage when they are done",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_is_told_for_what_it_is() {
        use Blame::{Configuration, Permission, Unavailable, Work};
        for (reason, blame, word) in [
            (
                "Resource handler returned message: \"User: arn:aws:sts::123456789012:assumed-role/deploy/AWSCloudFormation is not authorized to perform: lambda:CreateFunction on resource: arn:aws:lambda:eu-west-1:123456789012:function:app because no identity-based policy allows the lambda:CreateFunction action (Service: Lambda, Status Code: 403, Request ID: x)\" (RequestToken: y, HandlerErrorCode: AccessDenied)",
                Permission,
                "role=",
            ),
            (
                "User: arn:x is not authorized to perform: iam:PassRole on resource: arn:y",
                Permission,
                "iam:PassRole",
            ),
            (
                "Role arn:aws:iam::123456789012:role/app is invalid or cannot be assumed",
                Permission,
                "trust policy",
            ),
            (
                "Encountered a permissions error performing a tagging operation (HandlerErrorCode: UnauthorizedTaggingOperation)",
                Permission,
                "allow it",
            ),
            (
                "app-table already exists in stack arn:aws:cloudformation:eu-west-1:1:stack/old/x",
                Work,
                "import it",
            ),
            (
                "Resource of type 'AWS::Logs::LogGroup' with identifier '/x' already exists. (RequestToken: x, HandlerErrorCode: AlreadyExists)",
                Work,
                "fixed name",
            ),
            (
                "Export app:Table cannot be deleted as it is in use by web",
                Configuration,
                "imports this output",
            ),
            (
                "No export named app:Table found.",
                Configuration,
                "exports this name",
            ),
            (
                "Rate exceeded (Service: Lambda; Status Code: 400; Error Code: Throttling)",
                Unavailable,
                "retry",
            ),
            (
                "Rate exceeded (HandlerErrorCode: Throttling)",
                Unavailable,
                "retry",
            ),
            (
                "oops (HandlerErrorCode: ServiceInternalError)",
                Unavailable,
                "retry",
            ),
            (
                "oops (HandlerErrorCode: NetworkFailure)",
                Unavailable,
                "retry",
            ),
            (
                "The maximum number of addresses has been reached. (HandlerErrorCode: ServiceLimitExceeded)",
                Configuration,
                "Service Quotas",
            ),
            (
                "Properties validation failed for resource Table with message: #: required key [KeySchema] not found",
                Configuration,
                "cfn-lint",
            ),
            (
                "Received response status [FAILED] from custom resource. Message returned: no such database (RequestId: 1)",
                Work,
                "its log",
            ),
            (
                "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [x].",
                Work,
                "did not answer",
            ),
            (
                "Resource did not stabilize. (HandlerErrorCode: NotStabilized)",
                Work,
                "in time",
            ),
            (
                "The bucket you tried to delete is not empty (Service: S3, Status Code: 409; HandlerErrorCode: GeneralServiceException)",
                Work,
                "empty the bucket",
            ),
            (
                "The following hook(s) failed: [Acme::Guard::Public]",
                Configuration,
                "owns the hook",
            ),
            ("Alarm arn:x is in ALARM state", Work, "an alarm"),
            (
                "Action denied by stack policy: Statement [#1] does not allow [Update:Replace] for resource [Table]",
                Configuration,
                "policy",
            ),
            (
                "Stack creation time exceeded the specified timeout. Rollback requested by user.",
                Work,
                "longer",
            ),
            ("Resource update cancelled", Work, "cancelled"),
            ("Resource creation cancelled", Work, "cancelled"),
            (
                "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
                Configuration,
                "capabilities=",
            ),
            (
                "ChangeSet limit exceeded",
                Configuration,
                "delete-change-set",
            ),
        ] {
            let advice = advise(reason);
            assert_eq!(advice.blame, blame, "{reason}");
            let hint = advice.hint.unwrap_or_default();
            assert!(hint.contains(word), "{reason}: {hint}");
        }
        assert_eq!(
            advise("something new"),
            Advice {
                blame: Work,
                hint: None
            }
        );
    }

    #[test]
    fn the_tables_words_can_be_found() {
        for (words, _, hint) in TABLE {
            for word in *words {
                assert_eq!(*word, word.to_lowercase(), "compared in lower case");
            }
            assert!(!hint.ends_with('.'), "a fragment: {hint}");
        }
    }
}

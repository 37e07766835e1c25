//! The AWS managed policies that a serverless application's roles commonly name.
//!
//! Each is cut down to the services that the loopback serves; a policy that is not here grants nothing.

use serde_json::{Value, json};

/// The document of `arn:aws:iam::aws:policy/…/NAME`, or `None` when the loopback does not know it.
pub(crate) fn document(arn: &str) -> Option<Value> {
    let name = arn
        .strip_prefix("arn:aws:iam::aws:policy/")?
        .rsplit('/')
        .next()?;
    let actions: &[&str] = match name {
        "AdministratorAccess" => &["*"],
        "PowerUserAccess" => {
            return Some(json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "NotAction": ["iam:*", "organizations:*", "account:*"],
                "Resource": "*",
            }]}));
        }
        "ReadOnlyAccess" => &["*:Get*", "*:List*", "*:Describe*", "*:BatchGet*"],
        "AWSLambdaBasicExecutionRole" => LOGS,
        "AWSLambdaVPCAccessExecutionRole" => &[
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DeleteNetworkInterface",
        ],
        "AWSXRayDaemonWriteAccess" | "AWSXrayWriteOnlyAccess" => {
            &["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        }
        "AmazonS3FullAccess" => &["s3:*"],
        "AmazonS3ReadOnlyAccess" => &["s3:Get*", "s3:List*", "s3:Describe*"],
        "AmazonSNSFullAccess" => &["sns:*"],
        "AmazonSSMReadOnlyAccess" => &["ssm:Describe*", "ssm:Get*", "ssm:List*"],
        "AmazonSSMFullAccess" => &["ssm:*", "logs:*", "cloudwatch:PutMetricData"],
        "AmazonAPIGatewayAdministrator" => &["apigateway:*"],
        "AWSCloudFormationFullAccess" => &["cloudformation:*"],
        "AWSCloudFormationReadOnlyAccess" => &[
            "cloudformation:Describe*",
            "cloudformation:Get*",
            "cloudformation:List*",
            "cloudformation:ValidateTemplate",
        ],
        "AWSCodePipeline_FullAccess" => &["codepipeline:*"],
        "AWSCodePipeline_ReadOnlyAccess" => &["codepipeline:Get*", "codepipeline:List*"],
        "AWSCodePipelineApproverAccess" => &[
            "codepipeline:GetPipeline",
            "codepipeline:GetPipelineState",
            "codepipeline:GetPipelineExecution",
            "codepipeline:ListPipelineExecutions",
            "codepipeline:ListPipelines",
            "codepipeline:PutApprovalResult",
        ],
        "AWSCodePipelineCustomActionAccess" => &[
            "codepipeline:AcknowledgeJob",
            "codepipeline:GetJobDetails",
            "codepipeline:PollForJobs",
            "codepipeline:PutJobFailureResult",
            "codepipeline:PutJobSuccessResult",
        ],
        "AWSLambda_FullAccess" => &["lambda:*", "logs:*"],
        "AWSLambda_ReadOnlyAccess" => &["lambda:Get*", "lambda:List*"],
        "AWSLambdaRole" => &["lambda:InvokeFunction"],
        "CloudWatchFullAccess" | "CloudWatchFullAccessV2" => &["cloudwatch:*", "logs:*", "sns:*"],
        "CloudWatchReadOnlyAccess" => &[
            "cloudwatch:Describe*",
            "cloudwatch:Get*",
            "cloudwatch:List*",
            "logs:Get*",
            "logs:Describe*",
            "logs:FilterLogEvents",
        ],
        "CloudWatchLogsFullAccess" => &["logs:*"],
        "IAMFullAccess" => &["iam:*"],
        _ => return None,
    };
    Some(json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": actions, "Resource": "*",
    }]}))
}

const LOGS: &[&str] = &[
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_policies_are_found_by_their_arn() {
        for (arn, known) in [
            ("arn:aws:iam::aws:policy/AdministratorAccess", true),
            (
                "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
                true,
            ),
            ("arn:aws:iam::aws:policy/NoSuchPolicy", false),
            (
                "arn:aws:iam::000000000000:policy/AdministratorAccess",
                false,
            ),
            ("AdministratorAccess", false),
        ] {
            assert_eq!(document(arn).is_some(), known, "{arn}");
        }
    }
}

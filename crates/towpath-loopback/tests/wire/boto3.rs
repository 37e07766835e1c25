//! boto3, which nobody here wrote, is content with the loopback.

use std::process::Stdio;

use tokio::process::Command;

use crate::world::World;

const SCRIPT: &str = r#"
import io, json, os, boto3
from botocore.exceptions import ClientError
from boto3.s3.transfer import TransferConfig

s3 = boto3.client("s3")
s3.create_bucket(Bucket="bucket")
s3.put_object(Bucket="bucket", Key="a b/c", Body=b"content", Metadata={"one": "1"})
got = s3.get_object(Bucket="bucket", Key="a b/c")
assert got["Body"].read() == b"content" and got["Metadata"] == {"one": "1"}, got
assert s3.get_object(Bucket="bucket", Key="a b/c", Range="bytes=1-2")["Body"].read() == b"on"

big = os.urandom(12 * 1024 * 1024)
config = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
s3.upload_fileobj(io.BytesIO(big), "bucket", "big", Config=config)
sink = io.BytesIO()
s3.download_fileobj("bucket", "big", sink, Config=config)
assert sink.getvalue() == big
keys = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket="bucket", PaginationConfig={"PageSize": 1}) for o in page["Contents"]]
assert keys == ["a b/c", "big"], keys
import urllib.request
url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "a b/c"})
assert urllib.request.urlopen(url).read() == b"content"
try:
    s3.get_object(Bucket="bucket", Key="nothing")
    raise AssertionError("found nothing")
except ClientError as error:
    assert error.response["Error"]["Code"] == "NoSuchKey", error

bucket = boto3.resource("s3").Bucket("bucket")
bucket.Versioning().enable()
bucket.put_object(Key="v", Body=b"1"); bucket.put_object(Key="v", Body=b"2")
assert len(list(bucket.object_versions.filter(Prefix="v"))) == 2
bucket.object_versions.delete()
bucket.delete()

assert boto3.client("sts").get_caller_identity()["Arn"].endswith(":root")
iam = boto3.client("iam")
trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
assert iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"] == trust
session = boto3.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]
limited = boto3.client("s3", aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"])
try:
    limited.list_buckets()
    raise AssertionError("a role without policies lists")
except ClientError as error:
    assert error.response["Error"]["Code"] == "AccessDenied", error

cloudwatch = boto3.client("cloudwatch")
cloudwatch.put_metric_alarm(AlarmName="x", Namespace="n", MetricName="m", Threshold=1.5, Period=60, EvaluationPeriods=1, Statistic="Sum", ComparisonOperator="GreaterThanThreshold")
cloudwatch.set_alarm_state(AlarmName="x", StateValue="ALARM", StateReason="test")
alarm = cloudwatch.describe_alarms(AlarmNames=["x"])["MetricAlarms"][0]
assert alarm["StateValue"] == "ALARM" and alarm["Threshold"] == 1.5 and alarm["StateUpdatedTimestamp"].year > 2000, alarm
try:
    cloudwatch.delete_alarms(AlarmNames=["nothing"])
    raise AssertionError("deleted nothing")
except ClientError as error:
    assert error.response["Error"]["Code"] == "ResourceNotFound", error

sns = boto3.client("sns")
topic = sns.create_topic(Name="t", Attributes={"DisplayName": "T"})["TopicArn"]
assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "T"
sns.publish(TopicArn=topic, Message="m")
ssm = boto3.client("ssm")
ssm.put_parameter(Name="p", Value="v", Type="String")
assert ssm.get_parameter(Name="p")["Parameter"]["Value"] == "v"
logs = boto3.client("logs")
logs.create_log_group(logGroupName="g"); logs.create_log_stream(logGroupName="g", logStreamName="s")
logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1, "message": "hello"}])
assert logs.get_log_events(logGroupName="g", logStreamName="s", startFromHead=True)["events"][0]["message"] == "hello"
assert boto3.client("lambda").list_functions()["Functions"] == []
print("done")
"#;

#[tokio::test]
async fn boto3_is_content() {
    let known = Command::new("python3")
        .args(["-c", "import boto3"])
        .stderr(Stdio::null())
        .status()
        .await;
    if !known.is_ok_and(|status| status.success()) {
        println!("skipped: python3 cannot import boto3");
        return;
    }
    let world = World::start().await;
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .env_remove("AWS_PROFILE")
        .envs(world.loopback.environment())
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    world.loopback.shutdown().await;
}

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
import base64, hashlib
copied = s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "a b/c"}, ChecksumAlgorithm="SHA256", MetadataDirective="REPLACE", Metadata={"two": "2"})
digest = base64.b64encode(hashlib.sha256(b"content").digest()).decode()
assert copied["CopyObjectResult"]["ChecksumSHA256"] == digest, copied
head = s3.head_object(Bucket="bucket", Key="copy", ChecksumMode="ENABLED")
assert head["ChecksumSHA256"] == digest and head["Metadata"] == {"two": "2"}, head
s3.delete_object(Bucket="bucket", Key="copy")

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
ssm.put_parameter(Name="/app/token", Value="in clear", Type="SecureString")
assert ssm.get_parameter(Name="/app/token")["Parameter"]["Value"] != "in clear"
assert ssm.get_parameter(Name="/app/token", WithDecryption=True)["Parameter"]["Value"] == "in clear"
secrets = boto3.client("secretsmanager")
arn = secrets.create_secret(Name="app/npm", SecretString="one")["ARN"]
assert arn.rpartition(":")[2].startswith("app/npm-"), arn
secrets.put_secret_value(SecretId="app/npm", SecretString="two")
for id in "app/npm", arn, arn[:-7]:
    assert secrets.get_secret_value(SecretId=id)["SecretString"] == "two", id
assert secrets.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")["SecretString"] == "one"
assert ssm.get_parameter(Name="/aws/reference/secretsmanager/app/npm", WithDecryption=True)["Parameter"]["Value"] == "two"
for client, call, code in [
    (secrets, lambda: secrets.get_secret_value(SecretId="none"), "ResourceNotFoundException"),
    (secrets, lambda: secrets.create_secret(Name="app/npm", SecretString="x"), "ResourceExistsException"),
    (ssm, lambda: ssm.get_parameter(Name="/none"), "ParameterNotFound"),
    (ssm, lambda: ssm.get_parameter(Name="/aws/reference/secretsmanager/app/npm"), "ValidationException"),
]:
    try:
        call()
        raise AssertionError(code)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
logs = boto3.client("logs")
logs.create_log_group(logGroupName="g"); logs.create_log_stream(logGroupName="g", logStreamName="s")
logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1, "message": "hello"}])
assert logs.get_log_events(logGroupName="g", logStreamName="s", startFromHead=True)["events"][0]["message"] == "hello"
assert boto3.client("lambda").list_functions()["Functions"] == []
"#;

/// Builds: to their end, stopped, too late, started twice; and what a role is not allowed to say otherwise.
const BUILDS: &str = r#"
import json, time, boto3
from botocore.exceptions import ClientError

codebuild, iam, logs = boto3.client("codebuild"), boto3.client("iam"), boto3.client("logs")
trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "codebuild.amazonaws.com"}}]}
role = iam.create_role(RoleName="builds", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

def refused(code, words, act):
    try:
        act()
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code and words in said["Message"], said
        return
    raise AssertionError(f"{code} was expected")

def project(name, commands, **more):
    phases = "".join(f"  {phase}:\n    commands:\n" + "".join(f"      - {json.dumps(c)}\n" for c in all) for phase, all in commands.items())
    return codebuild.create_project(
        name=name, serviceRole=role,
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases:\n" + phases},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "any:1", "computeType": "BUILD_GENERAL1_SMALL",
                     "environmentVariables": [{"name": "GREETING", "value": "hello"}]},
        **more)["project"]

def ended(id):
    end = time.monotonic() + 60
    while True:
        build = codebuild.batch_get_builds(ids=[id])["builds"][0]
        if build["buildComplete"]:
            return build
        assert time.monotonic() < end, build
        time.sleep(0.02)

def log(build):
    events = logs.get_log_events(logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"], startFromHead=True)["events"]
    return [event["message"] for event in events]

# Nothing of an answer is lost in reading: botocore's model of the service knows every member and its type, and finds
# every member that it calls required.
scalars = {"string": str, "boolean": bool, "integer": int, "long": int, "timestamp": (int, float)}
seen = set()
def lossless(path, shape, value):
    kind = shape.type_name
    if kind == "structure":
        assert set(shape.required_members) <= set(value) <= set(shape.members), (path, sorted(value))
        for name, inner in value.items():
            lossless(f"{path}.{name}", shape.members[name], inner)
    elif kind == "list":
        assert isinstance(value, list), path
        for inner in value:
            lossless(path + "[]", shape.member, inner)
    else:
        assert isinstance(value, scalars[kind]) and (kind == "boolean") == isinstance(value, bool), (path, kind, value)
        assert not getattr(shape, "enum", None) or value in shape.enum, (path, value)
def check(event_name, response_dict, **_):
    if response_dict and response_dict["status_code"] == 200:
        operation = event_name.rsplit(".", 1)[1]
        seen.add(operation)
        lossless(operation, codebuild.meta.service_model.operation_model(operation).output_shape, json.loads(response_dict["body"]))
codebuild.meta.events.register("response-received.codebuild", check)

# To its end: the phases in order, its variables, its role.
made = project("good", {"install": ["A=kept"], "build": ["echo $GREETING $A $EXTRA from $CODEBUILD_BUILD_ID", "python3 -c 'import os, urllib.request as u; print(u.urlopen(os.environ[\"AWS_CONTAINER_CREDENTIALS_FULL_URI\"]).read().decode()[2:13])'"]})
assert made["arn"].endswith(":project/good") and made["timeoutInMinutes"] == 60, made
build = codebuild.start_build(projectName="good", idempotencyToken="t", environmentVariablesOverride=[{"name": "EXTRA", "value": "x"}])["build"]
assert build["buildStatus"] == "IN_PROGRESS" and build["id"].startswith("good:") and build["buildNumber"] == 1, build
again = codebuild.start_build(projectName="good", idempotencyToken="t", environmentVariablesOverride=[{"name": "EXTRA", "value": "x"}])["build"]
assert again["id"] == build["id"]
refused("InvalidInputException", "token", lambda: codebuild.start_build(projectName="good", idempotencyToken="t"))
done = ended(build["id"])
assert done["buildStatus"] == "SUCCEEDED", (done, log(done))
assert [p["phaseType"] for p in done["phases"]] == ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"], done["phases"]
assert done["endTime"] >= done["startTime"] and done["endTime"].year > 2000
assert f"hello kept x from {done['id']}" in log(done), log(done)
assert "AccessKeyId" in log(done), log(done)

# A project that CloudFormation makes, changes and removes.
cloudformation = boto3.client("cloudformation")
def stack(act, greeting):
    template = {"Resources": {"Builds": {"Type": "AWS::CodeBuild::Project", "Properties": {
        "Name": "stacked", "ServiceRole": role, "TimeoutInMinutes": 30,
        "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2\nphases: {build: {commands: [echo $GREETING]}}"},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {"Type": "LINUX_CONTAINER", "Image": "any:1", "ComputeType": "BUILD_GENERAL1_SMALL",
                        "EnvironmentVariables": [{"Name": "GREETING", "Value": greeting}]}}}}}
    getattr(cloudformation, act + "_stack")(StackName="builds", TemplateBody=json.dumps(template))
    cloudformation.get_waiter(f"stack_{act}_complete").wait(StackName="builds", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
for act in "create", "update":
    stack(act, f"by {act}")
    done = ended(codebuild.start_build(projectName="stacked")["build"]["id"])
    assert done["buildStatus"] == "SUCCEEDED" and done["timeoutInMinutes"] == 30 and f"by {act}" in log(done), (done, log(done))
cloudformation.delete_stack(StackName="builds")
cloudformation.get_waiter("stack_delete_complete").wait(StackName="builds", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
assert codebuild.batch_get_projects(names=["stacked"])["projectsNotFound"] == ["stacked"]

# A command that fails, and what comes after it.
project("bad", {"build": ["exit 7"], "post_build": ["echo never"]})
done = ended(codebuild.start_build(projectName="bad")["build"]["id"])
phase = [p for p in done["phases"] if p["phaseType"] == "BUILD"][0]
assert done["buildStatus"] == "FAILED" and phase["phaseStatus"] == "FAILED", done
assert phase["contexts"] == [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "Error while executing command: exit 7. Reason: exit status 7"}], phase

# Stopped, and too late: a minute is a tenth of a second here.
project("long", {"build": ["sleep 1000 & sleep 1000"]}, timeoutInMinutes=2160)
running = codebuild.start_build(projectName="long")["build"]["id"]
stopped = codebuild.stop_build(id=running)["build"]
assert stopped["buildStatus"] == "STOPPED" and stopped["buildComplete"], stopped
project("late", {"build": ["sleep 1000"]}, timeoutInMinutes=5)
late = ended(codebuild.start_build(projectName="late")["build"]["id"])
assert late["buildStatus"] == "TIMED_OUT", late
assert [p["contexts"][0]["statusCode"] for p in late["phases"] if p["phaseType"] == "BUILD"] == ["BUILD_TIMED_OUT"], late

# What is not there, not served, or not allowed.
assert codebuild.batch_get_builds(ids=["good:nothing"])["buildsNotFound"] == ["good:nothing"]
refused("ResourceNotFoundException", "Project cannot be found", lambda: codebuild.start_build(projectName="nothing"))
refused("ResourceNotFoundException", "", lambda: codebuild.stop_build(id="good:nothing"))
refused("ResourceAlreadyExistsException", "already exists", lambda: project("good", {"build": ["true"]}))
refused("InvalidInputException", "NO_SOURCE", lambda: codebuild.create_project(
    name="s3", serviceRole=role, source={"type": "S3", "location": "a/b"}, artifacts={"type": "NO_ARTIFACTS"},
    environment={"type": "LINUX_CONTAINER", "image": "any:1", "computeType": "BUILD_GENERAL1_SMALL"}))
caller = iam.create_role(RoleName="caller", AssumeRolePolicyDocument=json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}))["Role"]["Arn"]
iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=json.dumps({"Statement": [
    {"Effect": "Allow", "Action": ["codebuild:StartBuild", "codebuild:BatchGetBuilds"], "Resource": made["arn"]},
    {"Effect": "Deny", "Action": "codebuild:StartBuild", "Resource": "*", "Condition": {"Null": {"codebuild:source.buildspec": "false"}}}]}))
keys = boto3.client("sts").assume_role(RoleArn=caller, RoleSessionName="test")["Credentials"]
limited = boto3.client("codebuild", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
assert limited.start_build(projectName="good")["build"]["buildNumber"] == 2
refused("AccessDeniedException", "codebuild:StartBuild", lambda: limited.start_build(projectName="good", buildspecOverride="version: 0.2\nphases: {}"))
refused("AccessDeniedException", "codebuild:StartBuild", lambda: limited.start_build(projectName="bad"))
refused("AccessDeniedException", "codebuild:StopBuild", lambda: limited.stop_build(id=done["id"]))
assert len(codebuild.list_builds_for_project(projectName="good")["ids"]) == 2
codebuild.update_project(name="good", description="changed")
codebuild.delete_project(name="good")
assert seen == {"CreateProject", "UpdateProject", "DeleteProject", "BatchGetProjects", "StartBuild", "BatchGetBuilds", "StopBuild", "ListBuildsForProject"}, seen
"#;

/// A stack with a change set, and a pipeline through its approval.
const DELIVERY: &str = r#"
import json, time, boto3
from botocore.exceptions import ClientError

def until(what, ask):
    end = time.monotonic() + 20
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"still waiting for {what}"
        time.sleep(0.02)

cloudformation = boto3.client("cloudformation")
def template(value):
    return json.dumps({
        "Parameters": {"Suffix": {"Type": "String"}},
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "t-${Suffix}"}}},
            "Value": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "value", "Type": "String", "Value": value}},
        },
        "Outputs": {"Topic": {"Value": {"Ref": "Topic"}}},
    })
def stack():
    return cloudformation.describe_stacks(StackName="app")["Stacks"][0]
parameters = [{"ParameterKey": "Suffix", "ParameterValue": "x"}]
cloudformation.create_stack(StackName="app", TemplateBody=template("1"), Parameters=parameters)
until("the stack", lambda: stack()["StackStatus"] == "CREATE_COMPLETE")
assert stack()["Outputs"][0]["OutputValue"].endswith(":t-x"), stack()
cloudformation.create_change_set(StackName="app", ChangeSetName="two", TemplateBody=template("2"), Parameters=parameters)
def change_set():
    return cloudformation.describe_change_set(StackName="app", ChangeSetName="two")
until("the change set", lambda: change_set()["Status"] == "CREATE_COMPLETE")
assert [c["ResourceChange"]["LogicalResourceId"] for c in change_set()["Changes"]] == ["Value"]
cloudformation.execute_change_set(StackName="app", ChangeSetName="two")
until("the update", lambda: stack()["StackStatus"] == "UPDATE_COMPLETE")
assert boto3.client("ssm").get_parameter(Name="value")["Parameter"]["Value"] == "2"
assert cloudformation.describe_stack_events(StackName="app")["StackEvents"][0]["Timestamp"].year > 2000
cloudformation.delete_stack(StackName="app")
def gone():
    try:
        stack()
    except ClientError as error:
        return "does not exist" in error.response["Error"]["Message"]
until("the end", gone)

s3, iam, codepipeline = (boto3.client(name) for name in ("s3", "iam", "codepipeline"))
s3.create_bucket(Bucket="artifacts")
s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
s3.put_object(Bucket="artifacts", Key="source.zip", Body=b"PK")
trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "codepipeline.amazonaws.com"}}]}
role = iam.create_role(RoleName="pipeline", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
iam.attach_role_policy(RoleName="pipeline", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
def action(name, category, provider, configuration={}, outputs=[]):
    return {"name": name, "actionTypeId": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
            "configuration": configuration, "outputArtifacts": outputs}
source = action("Source", "Source", "S3", {"S3Bucket": "artifacts", "S3ObjectKey": "source.zip", "PollForSourceChanges": "false"}, [{"name": "Source"}])
codepipeline.create_pipeline(pipeline={
    "name": "p", "roleArn": role, "artifactStore": {"type": "S3", "location": "artifacts"}, "version": 1,
    "stages": [{"name": "Source", "actions": [source]}, {"name": "Approve", "actions": [action("Approve", "Approval", "Manual")]}]})
assert codepipeline.get_pipeline(name="p")["pipeline"]["version"] == 1
execution = codepipeline.start_pipeline_execution(name="p")["pipelineExecutionId"]
def token():
    state = codepipeline.get_pipeline_state(name="p")["stageStates"][1]["actionStates"][0]
    return state.get("latestExecution", {}).get("token")
approval = until("the approval", token)
codepipeline.put_approval_result(pipelineName="p", stageName="Approve", actionName="Approve", token=approval, result={"summary": "well", "status": "Approved"})
def status():
    return codepipeline.get_pipeline_execution(pipelineName="p", pipelineExecutionId=execution)["pipelineExecution"]["status"]
until("the execution", lambda: status() == "Succeeded")
actions = codepipeline.list_action_executions(pipelineName="p")["actionExecutionDetails"]
assert sorted(a["actionName"] for a in actions) == ["Approve", "Source"], actions
try:
    codepipeline.get_pipeline(name="other")
    raise AssertionError("found another")
except codepipeline.exceptions.PipelineNotFoundException:
    pass
"#;

#[tokio::test]
async fn boto3_is_content_with_objects_identities_and_alarms() {
    run(SCRIPT).await;
}

#[tokio::test]
async fn boto3_deploys_a_stack_and_approves_a_pipeline() {
    run(DELIVERY).await;
}

#[tokio::test]
async fn boto3_starts_watches_and_stops_builds() {
    run(BUILDS).await;
}

async fn run(script: &str) {
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
        .args(["-c", script])
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

"""boto3 uses the loopback as it would use AWS: what is stored, deployed, released and logged."""

import hashlib
import io
import json
import os
import time
import urllib.error
import urllib.request

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from checked import CALLS, client

ACCOUNT = "000000000000"


def until(what, ask):
    end = time.monotonic() + 60
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"still waiting for {what}"
        time.sleep(0.02)


def refused(code, message, call, **arguments):
    """The call fails with this code and exactly this message. (`None`: whatever the message.)"""
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, f"{code}: {said}"
        assert message is None or said["Message"] == message, f"{message!r}: {said}"
        return error
    raise AssertionError(f"{code} was expected, not {answer}")


def objects():
    s3 = client("s3")
    s3.create_bucket(Bucket="objects")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["objects"]
    s3.head_bucket(Bucket="objects")

    # One object, there and back. Names need care: spaces, signs, letters of other languages.
    for key in ("plain", "with space/and+plus", "ünï/cødé", "a&b=c%20d"):
        put = s3.put_object(Bucket="objects", Key=key, Body=key.encode(), Metadata={"note": "one"}, ContentType="text/x")
        assert put["ETag"] == f'"{hashlib.md5(key.encode()).hexdigest()}"', put
        got = s3.get_object(Bucket="objects", Key=key)
        assert got["Body"].read() == key.encode() and got["Metadata"] == {"note": "one"}, got
        assert (got["ContentType"], got["ContentLength"], got["ETag"]) == ("text/x", len(key.encode()), put["ETag"]), got
        head = s3.head_object(Bucket="objects", Key=key)
        assert head["LastModified"].year >= 2024 and head["ContentLength"] == len(key.encode()), head
    assert s3.get_object(Bucket="objects", Key="plain", Range="bytes=1-2")["Body"].read() == b"la"
    s3.copy_object(Bucket="objects", Key="copy", CopySource={"Bucket": "objects", "Key": "ünï/cødé"})
    assert s3.get_object(Bucket="objects", Key="copy")["Body"].read() == "ünï/cødé".encode()
    refused("NoSuchKey", None, s3.get_object, Bucket="objects", Key="nothing")
    refused("404", None, s3.head_object, Bucket="objects", Key="nothing")
    refused("NoSuchBucket", None, s3.list_objects_v2, Bucket="no-such-bucket")
    refused("PreconditionFailed", None, s3.put_object, Bucket="objects", Key="plain", Body=b"", IfNoneMatch="*")
    refused("BucketNotEmpty", None, s3.delete_bucket, Bucket="objects")

    # Lists, page by page and by folder.
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="objects", PaginationConfig={"PageSize": 2}))
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert keys == sorted(keys, key=str.encode) and len(keys) == 5 and len(pages) == 3, keys
    folders = s3.list_objects_v2(Bucket="objects", Delimiter="/")
    assert [folder["Prefix"] for folder in folders["CommonPrefixes"]] == ["with space/", "ünï/"], folders
    deleted = s3.delete_objects(Bucket="objects", Delete={"Objects": [{"Key": "copy"}, {"Key": "never was"}]})
    assert {entry["Key"] for entry in deleted["Deleted"]} == {"copy", "never was"}, deleted

    # In parts, by the transfer library and by hand.
    big = os.urandom(11 * 1024 * 1024)
    transfer = TransferConfig(multipart_threshold=5 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024)
    s3.upload_fileobj(io.BytesIO(big), "objects", "big", Config=transfer)
    sink = io.BytesIO()
    s3.download_fileobj("objects", "big", sink, Config=transfer)
    assert sink.getvalue() == big
    assert s3.head_object(Bucket="objects", Key="big")["ETag"].endswith('-3"')
    upload = s3.create_multipart_upload(Bucket="objects", Key="given up")["UploadId"]
    s3.upload_part(Bucket="objects", Key="given up", UploadId=upload, PartNumber=1, Body=b"part")
    assert [part["Size"] for part in s3.list_parts(Bucket="objects", Key="given up", UploadId=upload)["Parts"]] == [4]
    s3.abort_multipart_upload(Bucket="objects", Key="given up", UploadId=upload)
    refused("NoSuchUpload", None, s3.list_parts, Bucket="objects", Key="given up", UploadId=upload)

    # By a signed address, which is good for what was signed and nothing else.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    parameters = {"Bucket": "objects", "Key": "with space/and+plus"}
    address = s3.generate_presigned_url("get_object", Params=parameters)
    assert opener.open(address).read() == b"with space/and+plus"
    try:
        opener.open(address.replace("with%20space", "plain"))
        raise AssertionError("an address was good for another object")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b"SignatureDoesNotMatch" in error.read()
    address = s3.generate_presigned_url("put_object", Params=parameters)
    assert opener.open(urllib.request.Request(address, b"changed", {"Content-Type": ""}, method="PUT")).status == 200
    assert s3.get_object(**parameters)["Body"].read() == b"changed"

    # Versions.
    s3.put_bucket_versioning(Bucket="objects", VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket="objects")["Status"] == "Enabled"
    first, second = (s3.put_object(Bucket="objects", Key="v", Body=body)["VersionId"] for body in (b"1", b"2"))
    assert s3.delete_object(Bucket="objects", Key="v")["DeleteMarker"] is True
    refused("NoSuchKey", None, s3.get_object, Bucket="objects", Key="v")
    assert s3.get_object(Bucket="objects", Key="v", VersionId=first)["Body"].read() == b"1"
    listed = s3.list_object_versions(Bucket="objects", Prefix="v")
    assert [version["VersionId"] for version in listed["Versions"]] == [second, first], listed
    assert [marker["IsLatest"] for marker in listed["DeleteMarkers"]] == [True], listed


def stacks():
    cloudformation = client("cloudformation")

    def template(value, broken=False):
        resources = {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "news-${Suffix}"}}},
            "Value": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "value", "Type": "String", "Value": value}},
        }
        if broken:
            # Its code is nowhere.
            resources["Broken"] = {
                "Type": "AWS::Lambda::Function",
                "DependsOn": ["Topic", "Value"],
                "Properties": {
                    "Runtime": "python3.12",
                    "Handler": "a.b",
                    "Role": f"arn:aws:iam::{ACCOUNT}:role/nobody",
                    "Code": {"S3Bucket": "no-such-bucket", "S3Key": "code.zip"},
                },
            }
        return json.dumps({
            "Description": "news",
            "Parameters": {"Suffix": {"Type": "String"}},
            "Resources": resources,
            "Outputs": {"Topic": {"Value": {"Ref": "Topic"}, "Description": "where news are told"}},
        })

    named = {"StackName": "news"}
    parameters = [{"ParameterKey": "Suffix", "ParameterValue": "x"}]

    def stack(name="news"):
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]

    def settled(expected):
        found = until(expected, lambda: not stack()["StackStatus"].endswith("_IN_PROGRESS") and stack())
        assert found["StackStatus"] == expected, found
        return found

    # What programs compare with, to the letter.
    gone = "Stack with id news does not exist"
    refused("ValidationError", gone, cloudformation.describe_stacks, **named)
    refused("ValidationError", "Stack [news] does not exist", cloudformation.describe_stack_events, **named)
    refused("ValidationError", gone, cloudformation.get_template, **named)
    refused("ValidationError", gone, cloudformation.list_stack_resources, **named)
    cloudformation.delete_stack(**named)  # nothing to do is no failure

    assert cloudformation.validate_template(TemplateBody=template("1"))["Parameters"][0]["ParameterKey"] == "Suffix"
    summary = cloudformation.get_template_summary(TemplateBody=template("1"))
    assert sorted(summary["ResourceTypes"]) == ["AWS::SNS::Topic", "AWS::SSM::Parameter"], summary
    refused("ValidationError", None, cloudformation.validate_template, TemplateBody="Resources: [")

    def change_set(name, value, kind="UPDATE", **more):
        made = cloudformation.create_change_set(
            **named, ChangeSetName=name, ChangeSetType=kind, TemplateBody=template(value, **more), Parameters=parameters,
            Tags=[{"Key": "team", "Value": "red"}])
        assert ":changeSet/" + name in made["Id"] and ":stack/news/" in made["StackId"], made
        def seen():
            return cloudformation.describe_change_set(ChangeSetName=made["Id"])
        return until("a change set", lambda: seen()["Status"] in ("CREATE_COMPLETE", "FAILED") and seen())

    found = change_set("first", "1", "CREATE")
    assert stack()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert found["ExecutionStatus"] == "AVAILABLE", found
    changes = {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]["Action"] for change in found["Changes"]}
    assert changes == {"Topic": "Add", "Value": "Add"}, found
    cloudformation.execute_change_set(**named, ChangeSetName="first", ClientRequestToken="token-1")
    created = settled("CREATE_COMPLETE")
    assert created["Outputs"] == [{
        "OutputKey": "Topic", "OutputValue": f"arn:aws:sns:us-east-1:{ACCOUNT}:news-x", "Description": "where news are told"}], created
    assert created["Tags"] == [{"Key": "team", "Value": "red"}] and created["Description"] == "news", created
    assert created["CreationTime"].tzinfo is not None
    assert client("ssm").get_parameter(Name="value")["Parameter"]["Value"] == "1"
    events = [event for page in cloudformation.get_paginator("describe_stack_events").paginate(**named) for event in page["StackEvents"]]
    assert events[0]["ResourceStatus"] == "CREATE_COMPLETE" and events[0]["LogicalResourceId"] == "news", events[0]
    assert {event.get("ClientRequestToken") for event in events} <= {"token-1", None}
    assert [event["Timestamp"] for event in events] == sorted((event["Timestamp"] for event in events), reverse=True)
    listed = cloudformation.list_stack_resources(**named)["StackResourceSummaries"]
    assert {resource["LogicalResourceId"]: resource["ResourceStatus"] for resource in listed} == {
        "Topic": "CREATE_COMPLETE", "Value": "CREATE_COMPLETE"}, listed
    assert cloudformation.get_template(**named)["TemplateBody"]["Description"] == "news"
    refused("ChangeSetNotFound", None, cloudformation.describe_change_set, **named, ChangeSetName="another")
    refused("AlreadyExistsException", "Stack [news] already exists", cloudformation.create_stack, **named, TemplateBody=template("1"), Parameters=parameters)

    # The same again is nothing; something else is a change in place; with the waiters that everybody uses.
    unchanged = "The submitted information didn't contain changes. Submit different information to create a change set."
    found = change_set("same", "1")
    assert (found["Status"], found["StatusReason"]) == ("FAILED", unchanged), found
    cloudformation.delete_change_set(**named, ChangeSetName="same")
    refused("ValidationError", "No updates are to be performed.", cloudformation.update_stack, **named, TemplateBody=template("1"), Parameters=parameters)
    found = change_set("second", "2")
    change, = (change["ResourceChange"] for change in found["Changes"])
    assert (change["Action"], change["LogicalResourceId"], change["Replacement"]) == ("Modify", "Value", "False"), change
    quick = {"WaiterConfig": {"Delay": 1, "MaxAttempts": 60}}
    cloudformation.get_waiter("change_set_create_complete").wait(**named, ChangeSetName="second", **quick)
    cloudformation.execute_change_set(**named, ChangeSetName="second")
    cloudformation.get_waiter("stack_update_complete").wait(**named, **quick)
    assert client("ssm").get_parameter(Name="value")["Parameter"]["Value"] == "2"

    # What fails is undone, and the events say why.
    cloudformation.update_stack(**named, TemplateBody=template("3", broken=True), Parameters=parameters)
    settled("UPDATE_ROLLBACK_COMPLETE")
    assert client("ssm").get_parameter(Name="value")["Parameter"]["Value"] == "2"
    events = cloudformation.describe_stack_events(**named)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    assert [event["LogicalResourceId"] for event in failed] == ["Broken"] and failed[0]["ResourceStatusReason"], failed

    arn = stack()["StackId"]
    cloudformation.delete_stack(**named)
    cloudformation.get_waiter("stack_delete_complete").wait(**named, **quick)
    refused("ValidationError", gone, cloudformation.describe_stacks, **named)
    assert stack(arn)["StackStatus"] == "DELETE_COMPLETE"  # by ARN it is remembered
    assert [entry["StackId"] for entry in cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]] == [arn]
    refused("ParameterNotFound", None, client("ssm").get_parameter, Name="value")


def pipelines():
    s3, iam, codepipeline = client("s3"), client("iam"), client("codepipeline")
    s3.create_bucket(Bucket="artifacts")
    s3.put_bucket_versioning(Bucket="artifacts", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="artifacts", Key="source.zip", Body=b"PK\x05\x06" + bytes(18))["VersionId"]
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "codepipeline.amazonaws.com"}}]}
    role = iam.create_role(RoleName="pipeline", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.attach_role_policy(RoleName="pipeline", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")

    def action(name, category, provider, configuration=None, **more):
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        return {"name": name, "actionTypeId": kind, "runOrder": 1, "configuration": configuration or {},
                "inputArtifacts": [], "outputArtifacts": [], **more}

    source = action("Fetch", "Source", "S3", {"S3Bucket": "artifacts", "S3ObjectKey": "source.zip", "PollForSourceChanges": "false"},
                    outputArtifacts=[{"name": "Tree"}], namespace="Revision")
    gate = action("Gate", "Approval", "Manual", {"CustomData": "release #{Revision.VersionId}?"})
    definition = {
        "name": "release", "roleArn": role, "artifactStore": {"type": "S3", "location": "artifacts"},
        "pipelineType": "V2", "executionMode": "SUPERSEDED",
        "stages": [{"name": "Source", "actions": [source]}, {"name": "Approve", "actions": [gate]}]}
    refused("PipelineNotFoundException", None, codepipeline.get_pipeline, name="release")
    few = "Pipeline has only 1 stage(s). There should be a minimum of 2 stages in a pipeline"
    refused("InvalidStructureException", few, codepipeline.create_pipeline, pipeline={**definition, "stages": definition["stages"][:1]})
    assert codepipeline.create_pipeline(pipeline=definition)["pipeline"]["version"] == 1
    refused("PipelineNameInUseException", None, codepipeline.create_pipeline, pipeline=definition)
    shown = codepipeline.get_pipeline(name="release")
    assert shown["pipeline"]["stages"][1]["actions"][0]["configuration"] == gate["configuration"], shown
    assert shown["metadata"]["pipelineArn"] == f"arn:aws:codepipeline:us-east-1:{ACCOUNT}:release", shown
    assert [entry["name"] for entry in codepipeline.list_pipelines()["pipelines"]] == ["release"]

    def state(stage):
        return next(found for found in codepipeline.get_pipeline_state(name="release")["stageStates"] if found["stageName"] == stage)

    def question(execution):
        stage = state("Approve")
        if stage.get("latestExecution", {}).get("pipelineExecutionId") == execution:
            return stage["actionStates"][0].get("latestExecution", {}).get("token")

    def status(execution):
        return codepipeline.get_pipeline_execution(pipelineName="release", pipelineExecutionId=execution)["pipelineExecution"]["status"]

    # Approved.
    first = codepipeline.start_pipeline_execution(name="release")["pipelineExecutionId"]
    token = until("the question", lambda: question(first))
    assert state("Source")["latestExecution"]["status"] == "Succeeded"
    answer = {"pipelineName": "release", "stageName": "Approve", "actionName": "Gate"}
    yes = {"summary": "well", "status": "Approved"}
    refused("InvalidApprovalTokenException", None, codepipeline.put_approval_result, **answer, result=yes, token="00000000-0000-0000-0000-000000000000")
    approved = codepipeline.put_approval_result(**answer, result=yes, token=token)
    assert approved["approvedAt"].year >= 2024, approved
    until("the execution", lambda: status(first) == "Succeeded")
    refused("ApprovalAlreadyCompletedException", None, codepipeline.put_approval_result, **answer, result=yes, token=token)
    details = codepipeline.list_action_executions(pipelineName="release", filter={"pipelineExecutionId": first})["actionExecutionDetails"]
    assert [detail["actionName"] for detail in details] == ["Gate", "Fetch"], details
    assert details[1]["output"]["outputVariables"]["VersionId"] == version, details[1]
    assert details[0]["input"]["resolvedConfiguration"]["CustomData"] == f"release {version}?", details[0]
    location = details[1]["output"]["outputArtifacts"][0]["s3location"]
    assert s3.head_object(Bucket=location["bucket"], Key=location["key"])["ContentLength"] == 22
    execution = codepipeline.get_pipeline_execution(pipelineName="release", pipelineExecutionId=first)["pipelineExecution"]
    assert [revision["revisionId"] for revision in execution["artifactRevisions"]] == [version], execution

    # Rejected.
    second = codepipeline.start_pipeline_execution(name="release")["pipelineExecutionId"]
    token = until("the question", lambda: question(second))
    codepipeline.put_approval_result(**answer, result={"summary": "not today", "status": "Rejected"}, token=token)
    until("the execution", lambda: status(second) == "Failed")
    # Stopped.
    third = codepipeline.start_pipeline_execution(name="release")["pipelineExecutionId"]
    until("the question", lambda: question(third))
    codepipeline.stop_pipeline_execution(pipelineName="release", pipelineExecutionId=third, abandon=True, reason="enough")
    until("the execution", lambda: status(third) == "Stopped")
    listed = codepipeline.list_pipeline_executions(pipelineName="release")["pipelineExecutionSummaries"]
    assert [(entry["pipelineExecutionId"], entry["status"]) for entry in listed] == [
        (third, "Stopped"), (second, "Failed"), (first, "Succeeded")], listed

    definition = codepipeline.get_pipeline(name="release")["pipeline"]
    assert codepipeline.update_pipeline(pipeline=definition)["pipeline"]["version"] == 2
    refused("JobNotFoundException", None, codepipeline.put_job_success_result, jobId="00000000-0000-0000-0000-000000000000")
    codepipeline.delete_pipeline(name="release")
    refused("PipelineNotFoundException", None, codepipeline.get_pipeline_state, name="release")


def identities():
    sts, iam = client("sts"), client("iam")
    caller = sts.get_caller_identity()
    assert (caller["Account"], caller["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"), caller
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}]}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="test", DurationSeconds=900)
    assert assumed["Credentials"]["Expiration"].tzinfo is not None
    assert assumed["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/test", assumed
    import boto3
    session = boto3.session.Session(
        assumed["Credentials"]["AccessKeyId"], assumed["Credentials"]["SecretAccessKey"], assumed["Credentials"]["SessionToken"])
    assert session.client("sts").get_caller_identity()["Arn"] == assumed["AssumedRoleUser"]["Arn"]
    refused("AccessDenied", None, session.client("s3").list_buckets)
    refused("AccessDeniedException", None, session.client("codepipeline").list_pipelines)
    refused("AccessDenied", None, session.client("cloudformation").list_stacks)
    forged = boto3.session.Session(assumed["Credentials"]["AccessKeyId"], "wrong", assumed["Credentials"]["SessionToken"])
    refused("SignatureDoesNotMatch", None, forged.client("s3").list_buckets)
    refused("SignatureDoesNotMatch", None, forged.client("sts").get_caller_identity)
    refused("InvalidSignatureException", None, forged.client("codepipeline").list_pipelines)


def logs():
    logs = client("logs")
    group, stream = {"logGroupName": "/news"}, {"logStreamName": "today"}
    refused("ResourceNotFoundException", None, logs.get_log_events, **group, **stream)
    logs.create_log_group(**group)
    refused("ResourceAlreadyExistsException", "The specified log group already exists", logs.create_log_group, **group)
    logs.create_log_stream(**group, **stream)
    now = int(time.time() * 1000)
    logs.put_log_events(**group, **stream, logEvents=[{"timestamp": now + n, "message": f"line {n}"} for n in range(3)])
    events = logs.get_log_events(**group, **stream, startFromHead=True)["events"]
    assert [(event["timestamp"] - now, event["message"]) for event in events] == [(n, f"line {n}") for n in range(3)], events
    found = [event["message"] for page in logs.get_paginator("filter_log_events").paginate(**group, filterPattern='"line 1"') for event in page["events"]]
    assert found == ["line 1"], found
    assert [entry["logStreamName"] for entry in logs.describe_log_streams(**group)["logStreams"]] == ["today"]
    assert [entry["logGroupName"] for entry in logs.describe_log_groups(logGroupNamePrefix="/n")["logGroups"]] == ["/news"]
    logs.delete_log_group(**group)


def others():
    sns, cloudwatch = client("sns"), client("cloudwatch")
    topic = sns.create_topic(Name="t")["TopicArn"]
    assert sns.publish(TopicArn=topic, Message="m")["MessageId"]
    refused("NotFound", None, sns.publish, TopicArn=topic + "x", Message="m")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="n", MetricName="m", Threshold=1.5, Period=60, EvaluationPeriods=1, Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold")
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a test")
    alarm, = cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert (alarm["StateValue"], alarm["Threshold"]) == ("ALARM", 1.5), alarm
    # What is not there says so, by name, in each protocol's own way.
    for service, call, arguments in (
        ("codepipeline", "list_webhooks", {}),
        ("cloudformation", "list_types", {}),
        ("logs", "describe_queries", {}),
        ("cloudwatch", "list_dashboards", {}),
        ("sns", "list_phone_numbers_opted_out", {}),
    ):
        made = client(service)
        operation = made.meta.method_to_api_mapping[call]
        try:
            getattr(made, call)(**arguments)
            raise AssertionError(f"{service} has learnt {operation}; choose another that it does not know")
        except ClientError as error:
            assert operation in error.response["Error"]["Message"], error


for part in (objects, stacks, pipelines, identities, logs, others):
    part()
    print(part.__name__)
print(f"{len(CALLS)} operations")

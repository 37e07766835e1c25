"""Answers a custom resource's request: what CloudFormation puts beside code that is written into a template."""

import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    body = json.dumps({
        "Status": responseStatus,
        "Reason": reason or f"See the details in CloudWatch Log Stream: {context.log_stream_name}",
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    })
    request = urllib.request.Request(
        event["ResponseURL"], data=body.encode(), headers={"content-type": ""}, method="PUT")
    try:
        urllib.request.urlopen(request).close()
    except OSError as error:
        print("failed to answer the custom resource:", error)

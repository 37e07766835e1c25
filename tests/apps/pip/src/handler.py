"""The HTTP API's one function."""

import json
import os
from datetime import timedelta

import humanize


def greeting(uptime: timedelta) -> str:
    return f"Hello, World! I have been up for {humanize.precisedelta(uptime)}."


def handler(event, context):
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"message": greeting(timedelta(minutes=1)), "stage": os.environ.get("STAGE", "unknown")}),
    }

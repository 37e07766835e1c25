"""The runtime of `python*` functions: loads the handler, takes events from the Runtime API, answers them.

Works on Python 3.9 and later.
"""

import base64
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

ENVIRONMENT = os.environ
BASE = "/2018-06-01/runtime/"


class RuntimeFailure(Exception):
    """An error with the type that Lambda gives it."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class RuntimeApi:
    """One connection, kept open."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port))

    def call(self, method, target, body=None, headers=None):
        self.connection.request(method, BASE + target, body, headers or {})
        response = self.connection.getresponse()
        return response.headers, response.read()

    def report(self, target, description):
        kind = description["errorType"].encode("ascii", "replace").decode()
        headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": kind}
        self.call("POST", target, json.dumps(description).encode(), headers)


class Context:
    """What a handler learns of its invocation."""

    def __init__(self, headers):
        self.function_name = ENVIRONMENT["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = ENVIRONMENT["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = ENVIRONMENT["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = ENVIRONMENT["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = ENVIRONMENT["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.identity = None
        self.client_context = None
        given = headers.get("Lambda-Runtime-Client-Context")
        if given:
            self.client_context = json.loads(base64.b64decode(given))
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


class LogRecords(logging.Filter):
    """Gives each log record the request that it belongs to."""

    request_id = ""

    def filter(self, record):
        record.aws_request_id = LogRecords.request_id
        return True


def set_up_logging():
    handler = logging.StreamHandler(sys.stdout)
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(LogRecords())
    logging.getLogger().addHandler(handler)


def load(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise RuntimeFailure("Runtime.MalformedHandlerName", f"Bad handler '{name}': {error}") from None
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise RuntimeFailure("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from None
    except SyntaxError as error:
        raise RuntimeFailure("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}") from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise RuntimeFailure(
            "Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'"
        ) from None


def describe(error, request_id=None):
    if isinstance(error, RuntimeFailure):
        return {"errorMessage": str(error), "errorType": error.kind, "requestId": request_id or "", "stackTrace": []}
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id or "",
        "stackTrace": traceback.format_list(frames),
    }


def note(description):
    trace = "".join(description["stackTrace"])
    trace = "\nTraceback (most recent call last):\n" + trace.rstrip() if trace else ""
    print(f"[ERROR] {description['errorType']}: {description['errorMessage']}{trace}", flush=True)


def plain(value):
    if type(value).__name__ == "Decimal":
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def serialize(result):
    try:
        return json.dumps(result, default=plain).encode()
    except (TypeError, ValueError) as error:
        raise RuntimeFailure("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def serve(api, handler):
    while True:
        headers, body = api.call("GET", "invocation/next")
        context = Context(headers)
        request_id = context.aws_request_id
        LogRecords.request_id = request_id
        ENVIRONMENT["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            answer = serialize(handler(json.loads(body), context))
        except Exception as error:  # whatever the handler raises is the invocation's error
            description = describe(error, request_id)
            note(description)
            api.report(f"invocation/{request_id}/error", description)
        else:
            api.call("POST", f"invocation/{request_id}/response", answer, {"Content-Type": "application/json"})


def main():
    api = RuntimeApi(ENVIRONMENT["AWS_LAMBDA_RUNTIME_API"])
    # The handler's modules come first; the bootstrap's own directory is none of theirs.
    sys.path[0] = ENVIRONMENT["LAMBDA_TASK_ROOT"]
    sys.dont_write_bytecode = True
    set_up_logging()
    try:
        handler = load(ENVIRONMENT["_HANDLER"])
    except Exception as error:
        description = describe(error)
        note(description)
        api.report("init/error", description)
        sys.exit(1)
    try:
        serve(api, handler)
    except (ConnectionError, http.client.HTTPException):
        sys.exit(1)  # the environment is gone


if __name__ == "__main__":
    main()

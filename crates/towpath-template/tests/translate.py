"""Translates SAM templates with AWS's own translator.

Standard input is a JSON list of templates in long form, standard output a JSON list of what the translator makes of
them, `{"template": ...}` or `{"errors": [...]}`. The exit code is 3 if the translator is not installed.
"""
import json
import os
import sys

os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
try:
    from samtranslator.translator.transform import transform
except ImportError:
    sys.exit(3)


class ManagedPolicies:
    def load(self):
        names = {
            "AmazonS3ReadOnlyAccess": "AmazonS3ReadOnlyAccess",
            "AWSLambdaBasicExecutionRole": "service-role/AWSLambdaBasicExecutionRole",
            "AWSLambdaRole": "service-role/AWSLambdaRole",
        }
        return {name: f"arn:aws:iam::aws:policy/{path}" for name, path in names.items()}


results = []
for template in json.load(sys.stdin):
    parameters = {
        name: parameter["Default"] for name, parameter in template.get("Parameters", {}).items() if "Default" in parameter
    }
    # The service does this in a plugin that the library alone does not run.
    for resource in template["Resources"].values():
        location = resource.get("Properties", {}).get("Location")
        if resource["Type"] == "AWS::Serverless::Application" and isinstance(location, str):
            resource["Properties"]["TemplateUrl"] = location
    try:
        results.append({"template": transform(template, parameters, ManagedPolicies())})
    except Exception as error:
        results.append({"errors": [str(cause.message) for cause in getattr(error, "causes", [])] or [repr(error)]})
json.dump(results, sys.stdout)

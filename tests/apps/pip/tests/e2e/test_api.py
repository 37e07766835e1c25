"""Runs against the deployed stack: API_URL is its output ApiUrl."""

import json
import os
import urllib.request


def test_the_deployed_api_greets_and_knows_its_stage():
    with urllib.request.urlopen(os.environ["API_URL"] + "/hello") as response:
        answer = json.load(response)
    assert answer["message"] == "Hello, World! I have been up for 1 minute."
    assert answer["stage"] == os.environ["EXPECTED_STAGE"]

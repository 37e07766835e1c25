"""Runs against the deployed stack: API_URL is its output ApiUrl."""

import json
import os
import unittest
import urllib.request


class Api(unittest.TestCase):
    def test_greets_and_knows_its_stage(self):
        with urllib.request.urlopen(os.environ["API_URL"] + "/hello") as response:
            answer = json.load(response)
        self.assertEqual(answer["message"], "Hello, World! I have been up for 1 minute.")
        self.assertEqual(answer["stage"], os.environ["EXPECTED_STAGE"])


if __name__ == "__main__":
    unittest.main()

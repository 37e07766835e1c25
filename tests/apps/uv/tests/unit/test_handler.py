import json
import sys
import unittest
from datetime import timedelta

sys.path.insert(0, "src")

from handler import greeting, handler  # noqa: E402


class Handler(unittest.TestCase):
    def test_greets_the_world_and_says_for_how_long_it_is_up(self):
        self.assertEqual(greeting(timedelta(minutes=1)), "Hello, World! I have been up for 1 minute.")
        self.assertEqual(greeting(timedelta(hours=2)), "Hello, World! I have been up for 120 minutes.")

    def test_answers_with_json(self):
        answer = handler({}, None)
        self.assertEqual(answer["statusCode"], 200)
        self.assertEqual(set(json.loads(answer["body"])), {"message", "stage"})


if __name__ == "__main__":
    unittest.main()

import json
from datetime import timedelta

from handler import greeting, handler


def test_greets_the_world_and_says_for_how_long_it_is_up():
    assert greeting(timedelta(minutes=1)) == "Hello, World! I have been up for 1 minute."
    assert greeting(timedelta(hours=2)) == "Hello, World! I have been up for 2 hours."


def test_answers_with_json():
    answer = handler({}, None)
    assert answer["statusCode"] == 200
    assert set(json.loads(answer["body"])) == {"message", "stage"}

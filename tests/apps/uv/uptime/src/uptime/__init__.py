"""How long, in words."""

from datetime import timedelta


def in_words(uptime: timedelta) -> str:
    minutes = int(uptime.total_seconds() // 60)
    return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"

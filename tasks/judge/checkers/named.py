"""The checkers by the names that a recipe uses."""

from kasasagi.blocks.own.registry import Registry
from kasasagi.tasks.judge.checkers.finding import Checker

CHECKERS_VERSION = 4
"""Raised when the same answer would get another verdict, so that ratings that are kept are made again."""
_HERE = "kasasagi.tasks.judge.checkers"
CHECKERS: Registry[Checker] = Registry(
    "checker",
    {
        "auto": f"{_HERE}.auto:check_auto",
        "number": f"{_HERE}.numbers.check:check_number",
        "choice": f"{_HERE}.choice:check_choice",
        "text": f"{_HERE}.text:check_text",
        "regex": f"{_HERE}.regex:check_regex",
        "json": f"{_HERE}.json_schema:check_json",
        "code": f"{_HERE}.code.check:check_code",
        "instructions": f"{_HERE}.instructions.check:check_instructions",
    },
    f"{_HERE}.own:own_checker",
)
"""Each is a function that takes a `Case` and returns a `Finding`."""

"""YAML as recipes are written in: no key stands twice, and no text unfolds into far more than it says."""

from typing import Any

import yaml

MOST_VALUES = 100_000
DEEPEST = 50


class _Loader(yaml.SafeLoader):
    """The safe loader, to which a key that stands twice in one mapping is an error."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    problem = f"the key {key.value!r} appears twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add((key.tag, key.value))
        return node


def read_yaml(text: str) -> Any:
    """Return the value in a YAML text.

    Raises:
        ValueError: If it is none, in one line and with the place where there is one.
    """
    try:
        value = yaml.load(text, _Loader)
        _measure(value, {})
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or (str(error).splitlines() or ["it cannot be read"])[0]
        words = problem.replace("'<stream end>'", "the end of the text")
        raise ValueError(f"is not YAML{place}: {words}; {_remedy(problem)}") from error
    except RecursionError as error:
        raise ValueError(f"is nested more than {DEEPEST} deep; write it flatter") from error
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not YAML: {str(error).splitlines()[0]}; {_remedy('')}") from error
    return value


def _remedy(problem: str) -> str:
    """Return what to do about a text that is not YAML."""
    if "<stream end>" in problem or "end of stream" in problem:
        return "close the bracket or quote that is open there"
    if "expected ',' or" in problem:
        return "put a comma between the entries, or close the bracket before"
    if "not allowed here" in problem:
        return "put a value that contains a colon in quotes, and check the indentation"
    if "cannot start any token" in problem or "tab" in problem:
        return "indent with spaces, and put a value that begins with a sign such as @ or ` in quotes"
    return "check the indentation, the quotes and the brackets there"


def _measure(value: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many values there are when aliases are unfolded, and how deep they lie.

    Raises where that is too much.
    """
    if not isinstance(value, dict | list):
        return 1, 0
    if id(value) not in known:
        known[id(value)] = (0, DEEPEST)  # a value inside itself is too deep
        inner = [_measure(one, known) for one in (value.values() if isinstance(value, dict) else value)]
        known[id(value)] = 1 + sum(size for size, _ in inner), 1 + max((depth for _, depth in inner), default=0)
    size, depth = known[id(value)]
    if size > MOST_VALUES:
        raise ValueError(f"its aliases expand to more than {MOST_VALUES:,} values; use fewer aliases")
    if depth > DEEPEST:
        raise RecursionError
    return size, depth

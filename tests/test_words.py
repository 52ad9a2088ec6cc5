"""Words and names of a private dialect stay out of the code: plain terms of the field stand in their place."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("blocks", "tasks", "flows", "hina", "benchmarks")
NAMES = re.compile(
    r"told_in_a_sentence|told|tell_plans|told_of_waiting|announce_as|all_or_none|scouted|Late|Inventor|Refinement"
    r"|conversed|begins_of|Talk|Sitting|Bench|Heard|heard|hear|Weighing|Purse|Purses|Ticket|Tally|Owner|_afford|_parked"
    r"|foresee|set_aside|outdated|gates_again|of_last_published|with_verdicts|MADE_ANEW|let_pass|asked_on_the_page"
    r"|misses|plainly_misses|SqlRoom|Walk|crowded|own_words|Wish|known_as|answer_with|patiently|Seen|StrangeReplyError"
    r"|Parcel|parcel|Shipping|shipping|take_over|tied_process|if_generated|unsearched|GROWING|with_room|Place|Voice|Setting"
)
MODULES = frozenset(["given", "quiet", "garbage", "nearest", "guard", "faults", "again", "due"])
PROSE = re.compile(
    r"\b(sets? aside|anew|heeds?|heeded|amid|(?:is|are) known by|by (?:its|their) words|for good|stand several times"
    r"|comes? to (?:its|an|their) end|goes on|without a word|told in a sentence"
    r"|mend(?:s|ed|ing)?|shall|for now|as far as|in vain|afresh|by turns|takes? up|otherwise than|of one's own|need be"
    r"|(?:is|are) to be|asks? nobody|what becomes of|c[ao]mes? of (?:it|them|each)|put back|lay there|be over"
    r"|take up again|the same holds|invented nothing|what is whole|told apart|whence|thereby)\b",
    re.IGNORECASE,
)
FILES = sorted(file for folder in CODE for file in (ROOT / folder).rglob("*.py") if "world" not in file.parts)
NAMING_THEM = ("test_words.py", "test_docs.py")
"""The tests that name the words in order to find them."""
TESTS = sorted(file for file in (ROOT / "tests").rglob("*.py") if file.name not in NAMING_THEM)


def found(text: str) -> list[str]:
    """The names and phrases of the dialect in a module's text, each with its line."""
    problems = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and NAMES.fullmatch(token.string):
            problems.append(f"{token.start[0]}: {token.string}")
        if token.type in {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.COMMENT)}:
            problems += [f"{token.start[0]}: {phrase}" for phrase in PROSE.findall(token.string)]
    return problems


@pytest.mark.parametrize("folder", [*CODE, "tests"])
def test_code_speaks_plainly(folder: str) -> None:
    files = [file for file in [*FILES, *TESTS] if folder in file.relative_to(ROOT).parts[:1]]
    assert files
    problems = {str(file.relative_to(ROOT)): found(file.read_text(encoding="utf-8")) for file in files}
    assert {file: lines for file, lines in problems.items() if lines} == {}


DATA = (
    "recipes/**/*.yaml",
    "deployments/*",
    "tasks/synthesize/packs/*.yaml",
    "flows/**/*.yaml",
    "flows/**/*.j2",
    "Makefile",
)
"""Without tasks/prompts: another word in a prompt would make every request to a model a new one."""


@pytest.mark.parametrize("pattern", DATA)
def test_recipes_deployments_and_templates_speak_plainly(pattern: str) -> None:
    files = [file for file in ROOT.glob(pattern) if file.is_file()]
    assert files
    problems = {str(file.relative_to(ROOT)): PROSE.findall(file.read_text(encoding="utf-8")) for file in files}
    assert {file: phrases for file, phrases in problems.items() if phrases} == {}


def test_modules_are_named_for_what_they_hold() -> None:
    assert [str(file) for file in FILES if file.stem in MODULES] == []


def test_a_name_and_a_phrase_of_the_dialect_are_found() -> None:
    assert found('def told(x):\n    """Said for good."""\n') == ["1: told", "2: for good"]
    assert found('def tell_all(x):\n    """Return a goodie."""\n') == []


NOUN_PHRASE = re.compile(
    r"(?:The|An?|What|Whether|How|One|Some|All|Each|Every|Its|Those|These|Which|Where|Why|When|Who|No|Nothing|Only|That|Two"
    r"|Several|Everything|Both|Any|This|Another|Other|Further|Such|Their)\b"
)


def nominal(text: str) -> list[str]:
    """The functions that return something and whose docstring does not begin with what they do."""
    functions = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        one.name
        for one in functions
        if NOUN_PHRASE.match(ast.get_docstring(one) or "")
        and one.returns is not None
        and ast.unparse(one.returns) not in ("None", "NoReturn")
        and not re.search(r"property|contextmanager", " ".join(map(ast.unparse, one.decorator_list)))
    ]


def test_a_docstring_begins_with_what_a_function_does() -> None:
    found = {str(file.relative_to(ROOT)): nominal(file.read_text(encoding="utf-8")) for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}
    assert nominal('def f() -> int:\n    """The number."""\n') == ["f"]

"""What every stage of a recipe asks, what its chunks are cached by, and what a plan counts stays as it is."""

from pathlib import Path

import pytest

from tests.golden import expected
from tests.golden.cases import CASES, OWN, PLANNED, SHIPPED, identities


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


@pytest.mark.parametrize("case", CASES)
def test_ledger_keys_never_change(case: str, folder: Path) -> None:
    """A ledger key is what an answer is found by that a user has paid for.

    Write the keys again (`python -m tests.golden.write ledger_keys`) only where a recipe, a prompt file of ours or the
    replies of the tests' models were changed on purpose. A refactoring never changes them.
    """
    assert expected.ledger_keys(case, folder) == expected.read("ledger_keys")[case]


@pytest.mark.parametrize("case", SHIPPED)
def test_identities_of_models_never_change(case: str) -> None:
    """The identity of a model is part of every ledger key."""
    assert identities(case) == expected.read("identities")[case]


@pytest.mark.parametrize("case", CASES)
def test_cache_keys_change_only_with_a_stage_version(case: str, folder: Path) -> None:
    """A changed cache key costs no call: the chunk is made again from the ledger.

    One step is allowed here: where the version of a stage rises, the keys of that stage change, and those of later
    stages whose input is other rows. Then write them again: `python -m tests.golden.write cache_keys`.
    """
    assert expected.cache_keys(case, folder) == expected.read("cache_keys")[case]


@pytest.mark.parametrize("case", PLANNED)
def test_plans_count_what_a_run_will_ask(case: str, folder: Path) -> None:
    """Plans of an empty ledger, of one with about half of the answers, and of one with all of them.

    They may change where a plan gets more exact: `python -m tests.golden.write plans`.
    """
    assert expected.plans_of_ledgers(case, folder) == expected.read("plans")[case]


def test_every_recipe_is_held() -> None:
    for name in ("ledger_keys", "cache_keys"):
        assert set(expected.read(name)) == set(CASES)
    assert len(OWN) >= 10

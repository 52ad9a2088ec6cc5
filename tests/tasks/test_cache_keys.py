"""Cache keys hold what a recipe says, so that they outlive the growth of its configuration."""

from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.respond.config import RespondConfig


class Grown(RespondConfig):
    """What a later version may be: a field more, which is at its default."""

    novelty: int = 3


def test_a_new_field_at_its_default_changes_no_key() -> None:
    data = {"models": ["small", {"use": "large", "sampling": {"temperature": 1.0}}], "samples": 2}
    assert Grown.model_validate(data).keyed() == RespondConfig.model_validate(data).keyed()
    assert Grown.model_validate({**data, "novelty": 4}).keyed() != RespondConfig.model_validate(data).keyed()


def test_what_is_said_to_be_as_the_default_is_the_same_key() -> None:
    assert JudgeConfig(model="critic", orders=JudgeConfig(model="critic").orders).keyed() == {"model": "critic"}


def test_what_differs_in_a_nested_part_is_in_the_key() -> None:
    plain, cool = ({"model": "critic", **more} for more in ({}, {"sampling": {"temperature": 0.3}}))
    assert JudgeConfig.model_validate(plain).keyed() != JudgeConfig.model_validate(cool).keyed()

"""The plots of a card: drawn from the figures alone, alike for equal figures, whatever they hold."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kasasagi.tasks.publish.card.figures import CardFigures, ModelFigures
from kasasagi.tasks.publish.card.plots import draw_plots


def figures(marks: list[float], margins: list[float], lengths: list[int], name: str = "small") -> CardFigures:
    """Figures as counting would leave them."""
    model = ModelFigures(marks=Counter(marks))
    both = {"chosen": Counter(lengths), "rejected": Counter(length + 1 for length in lengths)}
    return CardFigures(len(lengths), margins=Counter(margins), models={name: model}, lengths=both)


def drawn(folder: Path, some: CardFigures) -> dict[str, bytes]:
    folder.mkdir()
    made = draw_plots(some, folder)
    assert {str(file.relative_to(folder)) for file in folder.rglob("*.png")} == set(made)
    return {name: (folder / name).read_bytes() for name in made}


HALVES = [step / 2 for step in range(2, 11)]


@pytest.mark.parametrize(
    "some",
    [
        figures([1.0], [4.0], [1]),
        figures(HALVES, [step / 10 for step in range(1, 60)], list(range(5000))),
        figures([3.0, 5.0], [2.0], [0, 0], "a $model_{name}$ of\n<many> words that is far too long for any plot"),
        figures([2.0], [1.0], [7], "丹"),
    ],
    ids=["one pair", "many", "strange name", "Japanese"],
)
def test_whatever_the_figures_hold_is_drawn_and_drawn_alike(tmp_path: Path, some: Any) -> None:
    made = drawn(tmp_path / "one", some)
    assert list(made) == ["figures/ratings.png", "figures/margins.png", "figures/lengths.png"]
    assert made == drawn(tmp_path / "other", some)
    for name in made:
        with Image.open(tmp_path / "one" / name) as image:
            image.verify()
            assert image.width > image.height


def test_other_figures_give_other_plots(tmp_path: Path) -> None:
    one, other = figures(HALVES, [1.0, 2.0], [10, 20]), figures(HALVES[:-1], [1.0, 1.0], [10, 30])
    made, others = drawn(tmp_path / "one", one), drawn(tmp_path / "other", other)
    assert all(made[name] != others[name] for name in made)


def test_what_nobody_measured_is_not_drawn(tmp_path: Path) -> None:
    assert list(drawn(tmp_path / "one", figures([3.0], [1.0], []))) == ["figures/ratings.png", "figures/margins.png"]
    assert drawn(tmp_path / "none", figures([], [], [])) == {}
    assert list((tmp_path / "none").iterdir()) == []


def test_without_ratings_only_the_lengths_are_drawn(tmp_path: Path) -> None:
    assert list(drawn(tmp_path / "one", figures([], [], [3, 4]))) == ["figures/lengths.png"]

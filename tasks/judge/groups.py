"""Which responses of a prompt are shown together, and in which order: pure functions of the prompt's digest."""

from collections.abc import Sequence

from kasasagi.tasks.judge.prompt import first_order, second_order

Group = tuple[int, ...]


def side_by_side(prompt_id: str, count: int) -> list[Group]:
    """All responses at once."""
    return [first_order(prompt_id, count)]


def one_by_one(prompt_id: str, count: int) -> list[Group]:
    """Each response alone."""
    return [(index,) for index in range(count)]


def matches(prompt_id: str, count: int, most: int | None = None) -> list[Group]:
    """Two responses at a time, each two once, at most so many; each response stands as often first as may be.

    Responses sit in a ring in the prompt's own order. First each plays its neighbour, every other of these matches
    before the rest; then the next but one, and so on: so with half as many matches as responses all of them play.
    """
    ring = first_order(prompt_id, count)
    found: list[Group] = []
    for step in range(1, count // 2 + 1):
        starts = range(count // 2 if 2 * step == count else count)
        found += [(ring[start], ring[(start + step) % count]) for start in (*starts[::2], *starts[1::2])]
    return found[:most]


def in_order(group: Group, ordering: str) -> Group:
    """A group in its first order, or swapped."""
    return group if ordering == "first" else second_order(group)


def appearances(groups: Sequence[Group], count: int) -> list[int]:
    """How often each response is shown."""
    return [sum(index in group for group in groups) for index in range(count)]

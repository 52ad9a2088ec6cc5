"""Which responses of a prompt are shown together, and in which order: pure functions of the prompt's digest."""

from collections.abc import Sequence

from kasasagi.tasks.judge.prompt import first_order, second_order

Group = tuple[int, ...]


def side_by_side(prompt_id: str, count: int) -> list[Group]:
    """Return all responses at once."""
    return [first_order(prompt_id, count)]


def one_by_one(prompt_id: str, count: int) -> list[Group]:
    """Return each response alone."""
    return [(index,) for index in range(count)]


def matches(prompt_id: str, count: int, most: int | None = None) -> list[Group]:
    """Return pairs of responses to compare, each pair once, up to a maximum number, so that all responses take part.

    The responses form a ring in the prompt's own order. Neighbours are compared first, then responses two places apart,
    and so on. With half as many matches as responses, every response takes part once.
    """
    ring = first_order(prompt_id, count)
    found: list[Group] = []
    for step in range(1, count // 2 + 1):
        starts = range(count // 2 if 2 * step == count else count)
        found += [(ring[start], ring[(start + step) % count]) for start in (*starts[::2], *starts[1::2])]
    return found[:most]


def in_order(group: Group, ordering: str) -> Group:
    """Return a group in its first order, or swapped."""
    return group if ordering == "first" else second_order(group)


def appearances(groups: Sequence[Group], count: int) -> list[int]:
    """Return how often each response is shown."""
    return [sum(index in group for group in groups) for index in range(count)]

"""Whole documents with some of their bytes changed, cut, doubled or made up: much of each is still what it was."""

from collections.abc import Callable

from hypothesis import strategies as st

SPICE = (
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[" * 40,
    b"]",
    b"\n",
    b"\r",
    b",",
    b":",
    b"null",
    b"-0",
    b"1e999",
    b"NaN",
    b"9" * 40,
    b"&a",
    b"*a",
    b"<<:",
    b"!!python/object:os.system",
    "鵲\u202e".encode(),
)
Change = tuple[str, float, float, bytes]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("put", "cut", "double", "replace", "end")),
        st.floats(0, 1),
        st.floats(0, 0.1),
        st.sampled_from(SPICE) | st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, changes: list[Change]) -> bytes:
    """Some data with some changes made to it, one after the other."""
    for kind, place, length, piece in changes:
        start = int(place * len(data))
        end = min(len(data), start + 1 + int(length * len(data)))
        edits: dict[str, Callable[[], bytes]] = {
            "put": lambda s=start, p=piece, d=data: d[:s] + p + d[s:],
            "cut": lambda s=start, e=end, d=data: d[:s] + d[e:],
            "double": lambda s=start, e=end, d=data: d[:e] + d[s:e] + d[e:],
            "replace": lambda s=start, p=piece, d=data: d[:s] + p + d[s + len(p) :],
            "end": lambda s=start, d=data: d[:s],
        }
        data = edits[kind]()
    return data


def mutations_of(*documents: bytes) -> st.SearchStrategy[bytes]:
    """One of some documents, changed."""
    return st.builds(changed, st.sampled_from(documents), CHANGES)


def check_plain_message(error: Exception, *secrets: str) -> None:
    """Check an error message: it has words, and none that are secret."""
    assert str(error).strip()
    assert not [secret for secret in secrets if secret in str(error)]

"""The benchmark of prefixes: what a server has to read of five aspects in two orders."""

from benchmarks.prefixes import compare


def test_servers_read_less_than_four_tenths_of_what_they_read_formerly() -> None:
    found = compare(prompts=6, replicas=1, concurrency=4)
    assert found["texts first, by prefix"]["share"] <= 0.4
    assert found["texts first, by prefix"]["prompt tokens"] == found["texts first"]["prompt tokens"]

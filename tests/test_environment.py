"""What stays on this machine goes through no proxy, whatever the environment says."""

import urllib.request

import httpx
import httpx2
import pytest

from kasasagi.blocks import telemetry


@pytest.mark.parametrize("before", ["", "example.com", "example.com, localhost"])
def test_loopback_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", before)
    monkeypatch.setenv("NO_PROXY", before)
    telemetry.spare_loopback()
    for host in ("127.0.0.1:4200", "localhost:8000", "::1", "0.0.0.0:8000"):
        assert urllib.request.proxy_bypass(host)
    assert not urllib.request.proxy_bypass("api.openai.com")
    assert urllib.request.proxy_bypass("example.com") == ("example.com" in before)


def test_no_proxy_for_anything_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "*")
    telemetry.spare_loopback()
    assert urllib.request.proxy_bypass("example.com")


def test_a_socks_proxy_keeps_no_client_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    telemetry.spare_loopback()
    for client in (httpx.Client, httpx2.Client):
        client().close()

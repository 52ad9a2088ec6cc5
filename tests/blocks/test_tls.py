"""Servers whose TLS fails: each has its own sentence with a remedy, on the first call and on later ones."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kasasagi.blocks import telemetry
from kasasagi.blocks.dispatch import server_lane
from kasasagi.blocks.dispatch.dispatcher import ModelUnusableError
from kasasagi.blocks.endpoints.bounded_client import without_proxy
from kasasagi.blocks.endpoints.completion_transport import proxy_of
from tests.blocks.helpers import ScriptedServer, answer_body, dispatching, model, questions

MODELS = (200, {}, b'{"data": [{"id": "small"}]}')


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody has signed but itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "model server")]),
        datetime.datetime.now(datetime.UTC),
    )
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain)
    )
    return file


@contextmanager
def over_tls(server: ScriptedServer, certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    inner: ThreadingHTTPServer = server._server
    inner.socket = context.wrap_socket(inner.socket, server_side=True)
    with server:
        yield server.base_url.replace("http://", "https://")


def answering() -> ScriptedServer:
    return ScriptedServer(lambda number, headers: (200, {}, answer_body(f"answer {number}")), MODELS)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_lane, "WORTH_LOGGING_S", 0.0)


def test_a_certificate_that_nobody_trusts_is_named(tmp_path: Path, certificate: Path) -> None:
    with (
        over_tls(answering(), certificate) as address,
        dispatching(tmp_path, {"small": model(address, max_retries=0, patience_s=0)}) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"TLS certificate is not trusted \(self.signed.*SSL_CERT_FILE"),
    ):
        dispatcher.ask(questions(1))


def test_a_certificate_whose_authority_is_named_is_trusted(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        over_tls(answering(), certificate) as address,
        dispatching(tmp_path, {"small": model(address, max_concurrency=1)}) as dispatcher,
    ):
        assert sorted(one.text for one in dispatcher.ask(questions(3))) == ["answer 0", "answer 1", "answer 2"]


def test_https_to_a_server_of_http_is_named(tmp_path: Path) -> None:
    with (
        answering() as server,
        dispatching(
            tmp_path, {"small": model(server.base_url.replace("http:", "https:"), max_retries=0, patience_s=0)}
        ) as dispatcher,
        pytest.raises(ModelUnusableError, match=r"no TLS connection .*https:// against http://"),
    ):
        dispatcher.ask(questions(1))


def test_patience_that_is_over_promises_no_further_seconds(tmp_path: Path) -> None:
    lines = list[str]()
    with (
        ScriptedServer(lambda number, headers: (503, {}, b"{}"), MODELS) as server,
        dispatching(tmp_path, {"small": model(server.base_url, max_retries=1, patience_s=0.4)}) as dispatcher,
    ):
        dispatcher.log = lines.append
        dispatcher.ask(questions(4))
    assert lines[0].endswith("does not answer (503: {})")
    assert not [line for line in lines if "up to" in line]


@pytest.mark.parametrize(
    ("variables", "server", "proxy"),
    [
        ({}, "https://api.example/v1", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.example/v1", "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "https://api.example/v1", "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://127.0.0.1:8000/v1", None),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://127.0.0.1:8000/v1", None),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://0.0.0.0:8000/v1", None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "api.example"}, "https://api.example/v1", None),
    ],
)
def test_the_proxy_of_a_server_is_the_environments(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], server: str, proxy: str | None
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    telemetry.spare_loopback()
    assert proxy_of(httpx2.URL(server)) == proxy


LOOPBACK = ("127.0.0.2", "127.1", "[::ffff:127.0.0.1]", "[::1]", "localhost", "api.localhost", "0.0.0.0")


@pytest.mark.parametrize("host", [*LOOPBACK, "api.example", "10.0.0.5", "localhost.example"])
def test_no_client_sends_through_a_proxy_what_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")
    server = httpx2.URL(f"http://{host}:8000/v1")
    client = httpx2.AsyncClient(mounts=without_proxy(server))
    spared = host in LOOPBACK
    assert (proxy_of(server) is None) == spared
    assert (client._transport_for_url(server) is client._transport) == spared

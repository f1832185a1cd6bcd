"""TLS checks off: certificates and versions that must be refused, unless the caller says so."""

import datetime
import re
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from proxy_peers import HTTPProxy, SOCKSProxy
from raw_peers import BINARY, RawServer, RawServerPeer, frame

import wsfast
from wsfast.protocol.errors import CertificateError, TLSError
from wsfast.system.tls import default_context

Fails = Callable[..., str]
Dial = Callable[..., Any]
StartRaw = Callable[..., RawServer]

DAY = datetime.timedelta(days=1)


def server_context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def self_signed(directory: Path) -> ssl.SSLContext:
    """An authority's own certificate, which it has issued to itself."""
    authority = trustme.CA()
    key, certificate = directory / "key.pem", directory / "self-signed.pem"
    authority.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


KINDS = {
    "self-signed": "self.signed certificate",
    "unknown authority": "unable to get local issuer certificate",
    "wrong host": "Hostname mismatch",
    "a subdomain": "Hostname mismatch",
    "expired": "certificate has expired",
    "not yet valid": "certificate is not yet valid",
}


@pytest.fixture
def bad_context(certificates: Any, tmp_path: Path) -> Callable[[str], ssl.SSLContext]:
    def make(kind: str) -> ssl.SSLContext:
        now = datetime.datetime.now(datetime.UTC)
        authority = certificates.authority
        match kind:
            case "self-signed":
                return self_signed(tmp_path)
            case "unknown authority":
                return server_context(trustme.CA().issue_cert("localhost"))
            case "wrong host":
                return server_context(authority.issue_cert("example.com", "localhost.example.com"))
            case "a subdomain":
                return server_context(authority.issue_cert("*.localhost", "a.localhost"))
            case "expired":
                leaf = authority.issue_cert(
                    "localhost", not_before=now - 2 * DAY, not_after=now - DAY
                )
                return server_context(leaf)
            case "not yet valid":
                return server_context(authority.issue_cert("localhost", not_before=now + DAY))
        raise AssertionError(kind)

    return make


def tell_what_came(peer: RawServerPeer) -> bytes:
    return peer.read_to_end()


@pytest.mark.parametrize(("kind", "text"), KINDS.items())
def test_a_bad_certificate_is_refused(
    kind: str,
    text: str,
    fails: Fails,
    dial: Dial,
    raw_server: StartRaw,
    bad_context: Callable[[str], ssl.SSLContext],
    certificates: Any,
) -> None:
    server = raw_server(tell_what_came, bad_context(kind))
    told = fails(server.url, ssl_context=certificates.client)
    assert "TLS" in told
    assert re.search(text, told)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.result()  # the handshake failed there, too: not a byte of the request was sent
    with pytest.raises(CertificateError, match="TLS") as caught:
        dial(server.url, ssl_context=certificates.client)
    assert not caught.value.retryable
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.result()


@pytest.mark.parametrize("proxy_scheme", ["http", "https", "socks5h"])
@pytest.mark.parametrize(("kind", "text"), KINDS.items())
def test_a_bad_certificate_is_refused_through_a_proxy(
    kind: str,
    text: str,
    proxy_scheme: str,
    fails: Fails,
    dial: Dial,
    raw_server: StartRaw,
    bad_context: Callable[[str], ssl.SSLContext],
    certificates: Any,
) -> None:
    """The proxy is trusted, and its certificate (for localhost, too) is good: that counts for
    nothing at the other end of the tunnel."""
    server = raw_server(tell_what_came, bad_context(kind))
    handler: Any = SOCKSProxy() if proxy_scheme == "socks5h" else HTTPProxy()
    options: dict[str, Any] = {"ssl_context": certificates.client}
    if proxy_scheme == "https":
        proxy = raw_server(handler, certificates.server)
        options["proxy_ssl_context"] = certificates.client
    else:
        proxy = raw_server(handler)
    options["proxy"] = f"{proxy_scheme}://localhost:{proxy.port}"
    told = fails(server.url, **options)
    assert f"TLS: the certificate of localhost:{server.port} was refused" in told
    assert re.search(text, told)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.result()
    with pytest.raises(CertificateError) as caught:
        dial(server.url, **options)
    assert not caught.value.retryable
    assert handler.asked.targets == [("localhost", server.port)] * 2


def test_verify_false_does_not_count_for_a_proxy(
    fails: Fails,
    dial: Dial,
    raw_server: StartRaw,
    start_server: Any,
    bad_context: Callable[[str], ssl.SSLContext],
    certificates: Any,
) -> None:
    """It gets the credentials, and it is somebody else than the server."""
    endpoint = start_server(print, "wss")
    for kind in KINDS:
        handler = HTTPProxy()
        proxy = raw_server(handler, bad_context(kind))
        option = f"https://localhost:{proxy.port}"
        told = fails(endpoint.url, proxy=option, verify=False)
        assert f"TLS: the certificate of the proxy localhost:{proxy.port} was refused" in told
        assert handler.asked.heads == []
    option = f"https://localhost:{raw_server(HTTPProxy(), certificates.server).port}"
    dial(endpoint.url, proxy=option, proxy_ssl_context=certificates.client, verify=False)


def test_an_authority_is_refused_that_only_the_server_knows(
    fails: Fails, raw_server: StartRaw, certificates: Any
) -> None:
    # Without ssl_context the system's authorities count.
    told = fails(raw_server(tell_what_came, certificates.server).url)
    assert "TLS" in told
    assert "unable to get local issuer certificate" in told


def test_the_systems_authorities_are_trusted_but_not_common_names(
    fails: Fails,
    open_raw: Callable[..., tuple[int, Any]],
    raw_server: StartRaw,
    certificates: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9525, section 2: a name in the subject alone names no server."""
    certificates.authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    default_context.cache_clear()
    try:
        number, _ = open_raw(certificates.server)
        assert wsfast.is_connected(number)
        leaf = certificates.authority.issue_cert("127.0.0.2", common_name="localhost")
        told = fails(raw_server(tell_what_came, server_context(leaf)).url)
        assert "TLS" in told
        assert "Hostname mismatch" in told
    finally:
        default_context.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
def test_verify_false_accepts_any_certificate(
    kind: str,
    open_raw: Callable[..., tuple[int, Any]],
    bad_context: Callable[[str], ssl.SSLContext],
) -> None:
    number, recorder = open_raw(bad_context(kind), verify=False)
    assert wsfast.is_connected(number)
    assert recorder.wait_messages(1) == [b"hello"]


def test_verify_false_changes_nothing_for_others(
    fails: Fails, dial: Dial, start_server: Any
) -> None:
    url = start_server(print, "wss").url
    dial(url, verify=False).close()
    assert "TLS" in fails(url)
    assert "TLS" in fails(url, verify=True)


@pytest.fixture
def open_raw(raw_server: StartRaw, make_recorder: Any) -> Callable[..., tuple[int, Any]]:
    """Opens a connection to a raw server with this context, which says hello."""

    def open_(context: ssl.SSLContext, **options: Any) -> tuple[int, Any]:
        def serve(peer: RawServerPeer) -> None:
            peer.upgrade()
            peer.send(frame(BINARY, b"hello"))
            peer.read_to_end()

        recorder = make_recorder()
        number = wsfast.connect(raw_server(serve, context).url, **recorder.callbacks, **options)
        assert recorder.opened.wait(10), recorder.log
        return number, recorder

    return open_


def test_server_name_stands_in_for_the_host(
    fails: Fails, open_raw: Callable[..., tuple[int, Any]], raw_server: StartRaw, certificates: Any
) -> None:
    names: list[str | None] = []
    context = certificates.issue("example.com")
    context.sni_callback = lambda sock, name, context: names.append(name)
    number, _ = open_raw(context, ssl_context=certificates.client, server_name="example.com")
    assert names == ["example.com"]
    assert wsfast.is_connected(number)
    server = raw_server(tell_what_came, context)
    for wrong in "example.org", "www.example.com", "localhost":
        told = fails(server.url, ssl_context=certificates.client, server_name=wrong)
        assert "TLS" in told
        assert "Hostname mismatch" in told


def test_an_address_must_stand_in_the_certificate(
    fails: Fails, dial: Dial, raw_server: StartRaw, certificates: Any, start_server: Any
) -> None:
    right = start_server(print, "wss").server.port
    dial(f"wss://127.0.0.1:{right}/", ssl_context=certificates.client).close()
    wrong = raw_server(tell_what_came, certificates.issue("localhost", "127.0.0.2")).port
    told = fails(f"wss://127.0.0.1:{wrong}/", ssl_context=certificates.client)
    assert "TLS" in told
    assert "IP address mismatch" in told


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_an_old_tls_version(
    version: ssl.TLSVersion, fails: Fails, dial: Dial, raw_server: StartRaw
) -> None:
    leaf = trustme.CA().issue_cert("localhost")
    context = server_context(leaf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # which is why it must be refused
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = raw_server(tell_what_came, context)
    for options in {}, {"verify": False}:
        assert "TLS" in fails(server.url, **options)
        with pytest.raises(TLSError, match="TLS"):
            dial(server.url, **options)


def test_a_server_that_wants_a_client_certificate(
    fails: Fails, raw_server: StartRaw, certificates: Any
) -> None:
    """TLS 1.3 refuses a client after the client's part of the handshake; 1.2 within it."""
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = certificates.issue("localhost")
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = version
        server = raw_server(tell_what_came, context)
        assert "TLS" in fails(server.url, ssl_context=certificates.client)


def test_a_server_survives_clients_that_fail_the_tls_handshake(
    start_server: Any, fails: Fails, dial: Dial, certificates: Any
) -> None:
    endpoint = start_server(lambda connection: connection.send("still here"), "wss")
    for _ in range(20):
        fails(endpoint.url)
    assert dial(endpoint.url, **endpoint.options).receive(10) == "still here"

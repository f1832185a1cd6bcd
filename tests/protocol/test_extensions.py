"""Agreeing on permessage-deflate (RFC 6455, section 9.1; RFC 7692, section 7.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocol_wire import new_client, new_server, read_head, request

from wsfast.protocol.constants import Compression
from wsfast.protocol.extensions import (
    Deflate,
    ExtensionError,
    accept_answer,
    answer_offers,
    make_offer,
    parse,
)
from wsfast.protocol.options import ServerOptions, client_options, server_options

TAKEOVER, NO_CONTEXT = Compression.CONTEXT_TAKEOVER, Compression.NO_CONTEXT
NAMES = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
]

# ------------------------------------------------------------------ the header's grammar


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (" , ,\t,", []),
        ("a", [("a", [])]),
        ("a,b", [("a", []), ("b", [])]),
        (",a ,, b,", [("a", []), ("b", [])]),
        ("a;b;c=d", [("a", [("b", None), ("c", "d")])]),
        (" a ; b = c , d;e ", [("a", [("b", "c")]), ("d", [("e", None)])]),
        ('a;b="c"', [("a", [("b", "c")])]),
        ('a; b="\\1\\5"', [("a", [("b", "15")])]),
    ],
)
def test_good_headers(value: str, expected: list) -> None:
    assert parse([value]) == expected
    assert parse([value, value]) == expected * 2


@pytest.mark.parametrize(
    "value",
    [
        ";", "=", "a;", "a;;b", "a b", "a=b", "a;b=", "a;=b", "a;b=c=d", "a,;b", "é", "a;é",
        "a;b=é",
        'a;b="', 'a;b="c', 'a;b="c d"', 'a;b=""', 'a;b="c"d', 'a;b="\\"', '"a"', "a;b c", "a/b",
    ],
)  # fmt: skip
def test_bad_headers(value: str) -> None:
    with pytest.raises(ExtensionError, match="malformed"):
        parse([value])
    assert b"400" in refused(value)


def refused(value: str) -> bytes:
    server = new_server()
    server.feed(request(Sec_WebSocket_Extensions=value), 0.0)
    return server.data_to_send()


@given(st.text(st.sampled_from('ab,;="\\ \t')))
def test_any_header(value: str) -> None:
    try:
        extensions = parse([value])
    except ExtensionError:
        return
    again = ",".join(
        name + "".join(f";{key}" + ("" if text is None else f"={text}") for key, text in parameters)
        for name, parameters in extensions
    )
    assert parse([again]) == extensions


# ------------------------------------------------------------------ what a client says


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        ({}, None),
        ({"compression": 0}, None),
        (
            {"compression": 1},
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            {"compression": "no_context", "compression_window_bits": 9},
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
            " server_max_window_bits=9; client_max_window_bits=9",
        ),
        (
            {"compression": TAKEOVER, "compression_window_bits": 15},
            "permessage-deflate; client_max_window_bits",
        ),
    ],
)
def test_offers(options: dict, offer: str | None) -> None:
    assert make_offer(client_options(**options)) == offer
    _, fields, _ = read_head(new_client(**options).data_to_send())
    assert dict(fields).get("Sec-WebSocket-Extensions") == offer


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [
        ("permessage-deflate", Deflate()),
        ("permessage-deflate; server_max_window_bits=12", Deflate(server_window_bits=12)),
        ("permessage-deflate; server_max_window_bits=8", Deflate(server_window_bits=8)),
        ("permessage-deflate; client_max_window_bits=15", Deflate()),
        ('permessage-deflate; client_max_window_bits="9"', Deflate(client_window_bits=9)),
        ("permessage-deflate; server_no_context_takeover", Deflate(server_takeover=False)),
        ("permessage-deflate;client_no_context_takeover", Deflate(client_takeover=False)),
        (
            "permessage-deflate; client_max_window_bits=8; server_no_context_takeover;"
            " server_max_window_bits=10; client_no_context_takeover",
            Deflate(10, 8, server_takeover=False, client_takeover=False),
        ),
    ],
)
def test_answers_that_a_client_accepts(answer: str, agreed: Deflate) -> None:
    assert accept_answer([answer], client_options(compression=1)) == agreed


@pytest.mark.parametrize("compression", list(Compression))
def test_a_server_may_do_without(compression: Compression) -> None:
    options = client_options(compression=compression)
    assert accept_answer([], options) is None
    assert accept_answer([""], options) is None


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-foo",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, permessage-foo",
        "Permessage-Deflate",
        "permessage-deflate; foo",
        "permessage-deflate; foo=bar",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=13",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=1000000000000000",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate;",
    ],
)
def test_answers_that_a_client_refuses(answer: str) -> None:
    for compression in (Compression.CONTEXT_TAKEOVER, Compression.NO_CONTEXT):
        with pytest.raises(ExtensionError):
            accept_answer([answer], client_options(compression=compression))


def test_nothing_was_offered() -> None:
    with pytest.raises(ExtensionError, match="not offered"):
        accept_answer(["permessage-deflate"], client_options())


# ------------------------------------------------------------------ what a server says


def answered(offers: str, **options) -> tuple[Deflate, str] | None:
    settings = {"compression": "context_takeover", "compression_window_bits": 15} | options
    return answer_offers([offers], server_options(**settings))


@pytest.mark.parametrize(
    ("offer", "parameters", "agreed"),
    [
        ("", "", Deflate()),
        ("; client_max_window_bits", "", Deflate()),
        (
            "; client_max_window_bits=10",
            "; client_max_window_bits=10",
            Deflate(client_window_bits=10),
        ),
        (
            "; server_max_window_bits=8",
            "; server_max_window_bits=8",
            Deflate(server_window_bits=8),
        ),
        ("; server_max_window_bits=15", "; server_max_window_bits=15", Deflate()),
        (
            "; server_no_context_takeover",
            "; server_no_context_takeover",
            Deflate(server_takeover=False),
        ),
        (
            "; client_no_context_takeover",
            "; client_no_context_takeover",
            Deflate(client_takeover=False),
        ),
    ],
)
def test_answers(offer: str, parameters: str, agreed: Deflate) -> None:
    expected = agreed, "permessage-deflate" + parameters
    assert answered("permessage-deflate" + offer) == expected


def test_a_server_of_smaller_windows() -> None:
    agreed = Deflate(9, 15)
    offers = "permessage-deflate"
    expected = agreed, "permessage-deflate; server_max_window_bits=9"
    assert answered(offers, compression_window_bits=9) == expected
    expected = (
        Deflate(9, 9),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    )
    assert answered(offers + "; client_max_window_bits", compression_window_bits=9) == expected


def test_a_server_without_context() -> None:
    assert answered("permessage-deflate", compression="no_context") == (
        Deflate(server_takeover=False, client_takeover=False),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    )


@pytest.mark.parametrize(
    "bad",
    [
        "permessage-foo", "permessage-deflate; foo", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16", "x-webkit-deflate-frame",
        "permessage-deflate; client_no_context_takeover=0",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
    ],
)  # fmt: skip
def test_the_first_good_offer_counts(bad: str) -> None:
    assert answered(bad) is None
    good = "permessage-deflate; server_max_window_bits=11"
    assert answered(f"{bad}, {good}, permessage-deflate") == (Deflate(11), good)


def test_a_server_that_does_not_want_to() -> None:
    assert answer_offers(["permessage-deflate"], ServerOptions()) is None


# ------------------------------------------------------------------ both together


@given(
    st.sampled_from([TAKEOVER, NO_CONTEXT]),
    st.sampled_from([TAKEOVER, NO_CONTEXT]),
    st.integers(9, 15),
    st.integers(9, 15),
)
def test_our_own_agree(client: Compression, server: Compression, ours: int, theirs: int) -> None:
    options = client_options(compression=client, compression_window_bits=ours)
    settings = server_options(compression=server, compression_window_bits=theirs)
    offer = make_offer(options)
    assert offer is not None
    answer = answer_offers([offer], settings)
    assert answer is not None
    agreed, text = answer
    assert accept_answer([text], options) == agreed
    least = min(ours, theirs)
    keep = client is server is TAKEOVER
    assert agreed == Deflate(least, least, server_takeover=keep, client_takeover=keep)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*NAMES, "foo"]),
            st.one_of(st.none(), st.integers(-1, 17).map(str), st.sampled_from(["", "x", '"9"'])),
        ),
        max_size=4,
    ),
    st.integers(9, 15),
    st.sampled_from(list(Compression)),
)
def test_any_parameters(parameters: list, bits: int, compression: Compression) -> None:
    """Whatever stands there, both sides say no or agree to what they can do."""
    value = "; ".join(
        ["permessage-deflate"]
        + [name if text is None else f"{name}={text}" for name, text in parameters]
    )
    options = {"compression": compression, "compression_window_bits": bits}
    for ask in (
        lambda: accept_answer([value], client_options(**options)),
        lambda: (answer_offers([value], server_options(**options)) or [None])[0],
    ):
        try:
            agreed = ask()
        except ExtensionError:
            continue
        if agreed is not None:
            assert compression is not Compression.DISABLED
            assert agreed.server_window_bits in range(8, 16)
            assert agreed.client_window_bits in range(8, 16)

import copy
import pickle
import re
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.errors import InvalidOption
from wsfast.protocol.headers import Headers, check_headers, check_token, check_value, split_tokens

PAIRS = [("Set-Cookie", "a=1"), ("Server", "x"), ("set-cookie", "b=2")]


def test_headers_find_names_in_any_case() -> None:
    headers = Headers(PAIRS)
    assert headers["SET-COOKIE"] == "a=1"
    assert headers.get("server") == "x"
    assert headers.get_all("Set-cookie") == ["a=1", "b=2"]
    assert "SERVER" in headers


def test_headers_without_a_name() -> None:
    headers = Headers(PAIRS)
    assert headers.get("Date") is None
    assert headers.get("Date", "never") == "never"
    assert headers.get_all("Date") == []
    assert "Date" not in headers
    assert 5 not in headers
    with pytest.raises(KeyError):
        headers["Date"]


def test_headers_iterate_over_names_once_and_over_items_all() -> None:
    headers = Headers(iter(PAIRS))
    assert list(headers) == ["Set-Cookie", "Server"]
    assert len(headers) == 2
    assert list(headers.items()) == PAIRS
    assert headers.raw == PAIRS
    assert not Headers()


def test_headers_hand_out_copies() -> None:
    headers = Headers(PAIRS)
    headers.raw.clear()
    headers.get_all("Set-Cookie").clear()
    assert headers.raw == PAIRS
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_headers_compare_names_without_case_and_values_in_order() -> None:
    assert Headers(PAIRS) == Headers([("server", "x"), ("SET-COOKIE", "a=1"), PAIRS[2]])
    assert Headers(PAIRS) != Headers(PAIRS[::-1])
    assert Headers(PAIRS) != PAIRS
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


def test_headers_have_a_repr_and_survive_copies() -> None:
    headers = Headers([("A", "b")])
    assert repr(headers) == "Headers([('A', 'b')])"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(headers, protocol)).raw == headers.raw
    assert copy.deepcopy(headers).raw == headers.raw


@pytest.mark.parametrize(
    "given_headers",
    [
        {"X-A": "1", "X-B": "2"},
        [("X-A", "1"), ("X-B", "2")],
        (["X-A", "1"], ["X-B", "2"]),
        iter([("X-A", "1"), ("X-B", "2")]),
        Headers([("X-A", "1"), ("X-B", "2")]),
    ],
    ids=["mapping", "pairs", "lists", "iterator", "Headers"],
)
def test_headers_may_come_in_many_forms(
    given_headers: Mapping[str, str] | Iterable[tuple[str, str]],
) -> None:
    assert check_headers(given_headers, "headers") == [("X-A", "1"), ("X-B", "2")]


def test_repeated_names_keep_their_order() -> None:
    assert check_headers(PAIRS, "headers") == PAIRS
    assert check_headers(Headers(PAIRS), "headers") == PAIRS


def test_white_space_around_values_is_removed() -> None:
    assert check_headers({"A": " \t b\tc \t"}, "headers") == [("A", "b\tc")]
    assert check_headers({"A": "  "}, "headers") == [("A", "")]
    assert check_headers({"A": "é\xff"}, "headers") == [("A", "é\xff")]


@pytest.mark.parametrize(
    "value",
    [
        "A: b",
        b"A: b",
        None,
        5,
        [("A",)],
        [("A", "b", "c")],
        ["Ab"],
        {"A"},
        [5],
        [b"Ab"],
        {"A": 1},
        {"A": None},
        {"A": b"b"},
        {"A": ["b"]},
        {1: "b"},
        {b"A": "b"},
        [(None, "b")],
    ],
    ids=repr,
)
def test_headers_of_a_wrong_type(value: object) -> None:
    with pytest.raises(TypeError, match=r"^headers"):
        check_headers(value, "headers")


@pytest.mark.parametrize(
    "name",
    ["", " ", "A b", "A:", "A\r\nB", "A\n", "\0", "é", "A(", 'A"', "A/b", "A,", "\u017f", "\uff21"],
)
def test_names_are_tokens(name: str) -> None:
    with pytest.raises(InvalidOption, match=r"^headers: name .* is not an HTTP token$"):
        check_headers({name: "x"}, "headers")


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
@pytest.mark.parametrize("place", ["{}b", "a{}b", "a{}"])
def test_values_hold_no_control_characters(code: int, place: str) -> None:
    with pytest.raises(InvalidOption, match=r"^headers: value of A holds a control character$"):
        check_headers({"A": place.format(chr(code))}, "headers")


@pytest.mark.parametrize("value", ["\u0100", "€", "\u010a\u010d", "\ud800", "😀"])
def test_values_are_latin_1(value: str) -> None:
    with pytest.raises(InvalidOption, match="outside Latin-1"):
        check_headers({"A": value}, "headers")


def test_errors_do_not_quote_secret_values() -> None:
    with pytest.raises(InvalidOption) as caught:
        check_headers({"Authorization": "Bearer secret\n"}, "headers")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "Upgrade",
        "CONNECTION",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Accept",
        "sec-websocket-extensions",
        "Sec-WebSocket-Protocol",
        "Content-Length",
        "Transfer-Encoding",
    ],
)
def test_what_the_handshake_owns_cannot_be_overridden(name: str) -> None:
    with pytest.raises(InvalidOption, match=rf"^headers: {name} is set by the opening handshake"):
        check_headers({name: "x"}, "headers")


def test_host_may_be_given_once() -> None:
    assert check_headers({"Host": "a"}, "headers") == [("Host", "a")]
    with pytest.raises(InvalidOption, match="Host may be given only once"):
        check_headers([("Host", "a"), ("host", "a")], "headers")


ANY_TEXT = st.text(max_size=12)
HOSTILE_TEXT = st.text(st.sampled_from("ab \t\r\n\0\x7fé:,\u010d"), max_size=8)


@given(st.lists(st.tuples(ANY_TEXT | HOSTILE_TEXT, ANY_TEXT | HOSTILE_TEXT), max_size=3))
def test_no_accepted_header_can_inject_a_line(pairs: list[tuple[str, str]]) -> None:
    try:
        checked = check_headers(pairs, "headers")
    except InvalidOption:
        return
    for name, value in checked:
        line = f"{name}: {value}".encode("latin-1")
        assert not re.search(rb"[\r\n\0]", line)
        assert line.split(b":", 1)[0].decode() == name


@given(ANY_TEXT | HOSTILE_TEXT)
def test_no_accepted_value_can_inject_a_line(value: str) -> None:
    test = f"a{value}b"
    try:
        checked = check_value(test, "headers")
    except InvalidOption:
        assert re.search(r"[^\t -~\x80-\xff]", test)
    else:
        assert checked == test
        assert not set(checked) & set("\r\n\0")


def test_check_value_takes_only_str() -> None:
    assert check_value(" a ", "origin") == "a"
    with pytest.raises(TypeError, match=r"^origin must be a str, not bytes$"):
        check_value(b"a", "origin")


def test_check_token() -> None:
    assert check_token("graphql-ws", "protocol") == "graphql-ws"
    assert check_token("!#$%&'*+-.^_`|~09azAZ", "protocol") == "!#$%&'*+-.^_`|~09azAZ"
    with pytest.raises(TypeError, match=r"^protocol must be a str"):
        check_token(5, "protocol")
    with pytest.raises(InvalidOption, match=r"^protocol 'a b' is not"):
        check_token("a b", "protocol")


def test_an_error_quotes_a_long_token_in_part() -> None:
    with pytest.raises(InvalidOption) as caught:
        check_token(" " * 100_000, "protocol")
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        ("keep-alive, Upgrade", ["keep-alive", "Upgrade"]),
        ("a,b ,\tc\t", ["a", "b", "c"]),
        (", ,a,,", ["a"]),
        ("", []),
        ("a b", ["a b"]),
    ],
)
def test_split_tokens(value: str, tokens: list[str]) -> None:
    assert split_tokens(value) == tokens

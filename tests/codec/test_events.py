"""Ping, Pong, Close and Failure are plain values."""

import copy
import pickle
from enum import IntEnum
from unittest.mock import ANY

import pytest

from wsfast.codec import Close, Compressed, Failure, Piece, Ping, Pong

CONTROLS = (Ping, Pong)
ENDINGS = (Close, Failure)
EVENTS = [Ping(b"x"), Ping(), Pong(b"x"), Close(1000, "bye"), Close(1005), Failure(1002, "why")]


class TestValues:
    def test_are_what_was_given(self) -> None:
        assert [cls(b"x").data for cls in CONTROLS] == [b"x"] * 2
        assert [cls().data for cls in CONTROLS] == [b""] * 2
        assert [(e.code, e.reason) for e in (Close(1000, "bye"), Failure(1002))] == [
            (1000, "bye"),
            (1002, ""),
        ]

    def test_by_keyword(self) -> None:
        assert Ping(data=b"x") == Ping(b"x")
        assert Close(code=1000, reason="bye") == Close(1000, "bye")

    @pytest.mark.parametrize("data", [bytearray(b"ab"), memoryview(b"axbx")[::2]])
    def test_data_becomes_bytes(self, data: object) -> None:
        for cls in CONTROLS:
            assert type(cls(data).data) is bytes
            assert cls(data).data == b"ab"

    def test_subclasses(self) -> None:
        class Data(bytes):
            pass

        class Code(IntEnum):
            NORMAL = 1000

        assert type(Ping(Data(b"x")).data) is bytes
        assert Close(Code.NORMAL) == Close(1000)

    @pytest.mark.parametrize("data", ["x", 5, None, [1], 1.5])
    def test_data_of_the_wrong_type(self, data: object) -> None:
        for cls in CONTROLS:
            with pytest.raises(TypeError):
                cls(data)

    @pytest.mark.parametrize("arguments", [(), ("x",), (None,), (1.5,), (1000, None), (1000, b"")])
    def test_endings_of_the_wrong_type(self, arguments: tuple[object, ...]) -> None:
        for cls in ENDINGS:
            with pytest.raises(TypeError):
                cls(*arguments)


@pytest.mark.parametrize("event", EVENTS, ids=repr)
class TestImmutability:
    def test_attributes(self, event: object) -> None:
        for name in ("data", "code", "reason", "other"):
            with pytest.raises(AttributeError):
                setattr(event, name, b"x")

    def test_init_again(self, event: object) -> None:
        before = (repr(event), hash(event))
        event.__init__()
        assert (repr(event), hash(event)) == before

    def test_types_are_closed(self, event: object) -> None:
        with pytest.raises(TypeError):
            type(event).data = 5
        with pytest.raises(TypeError):
            type("Sub", (type(event),), {})


class TestComparison:
    def test_equal(self) -> None:
        for event in EVENTS:
            twin = eval(repr(event))
            assert twin is not event
            assert twin == event
            assert (twin != event) is False
            assert hash(twin) == hash(event)

    def test_different(self) -> None:
        others = [
            *EVENTS,
            Ping(b"y"),
            Pong(),
            Close(1000),
            Close(1001, "bye"),
            Failure(1000, "bye"),
        ]
        assert len(set(others)) == len(others)
        for i, one in enumerate(others):
            assert [one == other for other in others] == [i == j for j in range(len(others))]

    def test_with_other_types(self) -> None:
        for event in EVENTS:
            assert event != b"x"
            assert event != (1000, "bye")
            assert event == ANY

    def test_no_order(self) -> None:
        with pytest.raises(TypeError):
            assert Ping(b"a") < Ping(b"b")


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Ping(b"\x00a"), "Ping(b'\\x00a')"),
        (Pong(), "Pong(b'')"),
        (Close(1000, "it's"), 'Close(1000, "it\'s")'),
        (Failure(1002, ""), "Failure(1002, '')"),
    ],
)
def test_repr(event: object, text: str) -> None:
    assert repr(event) == text


@pytest.mark.parametrize("event", EVENTS, ids=repr)
class TestCopies:
    def test_pickle(self, event: object) -> None:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            twin = pickle.loads(pickle.dumps(event, protocol))
            assert type(twin) is type(event)
            assert twin == event

    def test_copy(self, event: object) -> None:
        assert copy.copy(event) == copy.deepcopy(event) == event


def describe(event: object) -> str:
    match event:
        case Ping(b"x"):
            return "ping x"
        case Ping(data) | Pong(data=data):
            return f"control {data!r}"
        case Close(1005):
            return "no code"
        case Close(code, reason) | Failure(code=code, reason=reason):
            return f"{code} {reason}"
        case _:
            return "else"


def test_match() -> None:
    assert [describe(event) for event in [*EVENTS, "text"]] == [
        "ping x",
        "control b''",
        "control b'x'",
        "1000 bye",
        "no code",
        "1002 why",
        "else",
    ]


@pytest.fixture(params=[Piece, Compressed])
def pieces(request: pytest.FixtureRequest) -> list:
    kind = request.param
    return [kind(b"x"), kind(b"x", True), kind(b"x", True, True), kind(b"")]


def test_pieces_of_messages(pieces: list) -> None:
    kind = type(pieces[0])
    piece = kind(b"x", text=True, more=False)
    assert (piece.data, piece.text, piece.more) == (b"x", True, False)
    for a in range(len(pieces)):
        for b in range(len(pieces)):
            assert (pieces[a] == pieces[b]) == (a == b)
    assert pieces[0] != Ping(b"x")
    assert pieces[0] != b"x"
    assert Piece(b"x") != Compressed(b"x")
    assert len({*pieces, *pieces}) == len(pieces)
    assert repr(piece) == f"{kind.__name__}(b'x', text=True, more=False)"
    assert [pickle.loads(pickle.dumps(piece)) for piece in pieces] == pieces
    match piece:
        case Piece(data, text, more) | Compressed(data, text, more):
            assert (data, text, more) == (b"x", True, False)


def test_a_piece_holds_bytes_and_cannot_be_changed(pieces: list) -> None:
    for wrong in (None, "x", bytearray(b"x")):
        with pytest.raises(TypeError):
            type(pieces[0])(wrong)
    with pytest.raises(AttributeError):
        pieces[0].more = True

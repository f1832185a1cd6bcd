import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast.protocol.constants import MAX_CLOSE_REASON, CloseCode, Opcode, State, check_close


def test_opcodes_are_those_of_rfc_6455() -> None:
    assert {opcode.name: opcode.value for opcode in Opcode} == {
        "CONTINUATION": 0,
        "TEXT": 1,
        "BINARY": 2,
        "CLOSE": 8,
        "PING": 9,
        "PONG": 10,
    }


def test_close_codes_are_those_of_seed_002() -> None:
    assert [code.name for code in CloseCode] == [
        "NORMAL",
        "GOING_AWAY",
        "PROTOCOL_ERROR",
        "UNSUPPORTED_DATA",
        "RESERVED",
        "NO_STATUS",
        "ABNORMAL_CLOSURE",
        "INVALID_PAYLOAD",
        "POLICY_VIOLATION",
        "MESSAGE_TOO_BIG",
        "MANDATORY_EXTENSION",
        "INTERNAL_ERROR",
        "SERVICE_RESTART",
        "TRY_AGAIN_LATER",
        "BAD_GATEWAY",
        "TLS_HANDSHAKE",
    ]
    assert [code.value for code in CloseCode] == list(range(1000, 1016))


def test_states_have_the_numbers_and_names_of_seed_004() -> None:
    assert [state.value for state in State] == [0, 1, 2, 3, 4]
    assert [state.label for state in State] == [
        "disconnected",
        "connecting",
        "connected",
        "closing",
        "error",
    ]


def test_every_close_code_is_sent_or_refused_as_the_rfc_says() -> None:
    allowed = set()
    for code in range(-1, 5100):
        try:
            check_close(code, "")
        except ValueError:
            continue
        allowed.add(code)
    assert allowed == {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


@pytest.mark.parametrize("code", [10**100, -(10**100)])
def test_a_huge_code_is_a_value_error(code: int) -> None:
    with pytest.raises(ValueError, match="between 1000 and 4999"):
        check_close(code, "")


@pytest.mark.parametrize("code", [True, 1000.0, "1000", None, b"1000"])
def test_a_code_that_is_no_int_is_a_type_error(code: object) -> None:
    with pytest.raises(TypeError, match="close code"):
        check_close(code, "")


@pytest.mark.parametrize("reason", [b"bye", None, 1])
def test_a_reason_that_is_no_str_is_a_type_error(reason: object) -> None:
    with pytest.raises(TypeError, match="close reason"):
        check_close(1000, reason)


def test_an_enum_member_is_a_code() -> None:
    assert check_close(CloseCode.GOING_AWAY, "later") == b"later"


def test_a_reason_is_measured_in_bytes_of_utf8() -> None:
    assert check_close(1000, "x" * 123) == b"x" * 123
    assert check_close(1000, "é" * 61 + "x") == "é".encode() * 61 + b"x"
    for reason in ("x" * 124, "é" * 62):
        with pytest.raises(ValueError, match="124 bytes"):
            check_close(1000, reason)


def test_a_lone_surrogate_has_no_utf8() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        check_close(1000, "bye \ud800")


@given(st.text())
def test_what_is_accepted_fits_a_close_frame_and_decodes_to_the_reason(reason: str) -> None:
    try:
        encoded = check_close(1000, reason)
    except ValueError:
        assert len(reason.encode(errors="surrogatepass")) > MAX_CLOSE_REASON or any(
            "\ud800" <= char <= "\udfff" for char in reason
        )
    else:
        assert len(encoded) <= MAX_CLOSE_REASON
        assert encoded.decode() == reason

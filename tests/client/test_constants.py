"""The constants of seeds 001 and 002, all of them, under their names there."""

from wsfast import client


def test_message_types() -> None:
    assert (client.TEXT, client.BINARY) == (1, 2)
    types = {name: getattr(client, name) for name in client.__all__ if name.startswith("TYPE_")}
    assert types == {
        "TYPE_TEXT": "text",
        "TYPE_BINARY": "binary",
        "TYPE_PING": "ping",
        "TYPE_PONG": "pong",
        "TYPE_CLOSE": "close",
    }


def test_compression_modes() -> None:
    assert {mode.name: int(mode) for mode in client.COMPRESSION} == {
        "DISABLED": 0,
        "CONTEXT_TAKEOVER": 1,
        "NO_CONTEXT": 2,
    }
    assert client.COMPRESSION.CONTEXT_TAKEOVER == 1


def test_close_codes() -> None:
    assert {code.name: int(code) for code in client.CLOSE_CODES} == {
        "NORMAL": 1000,
        "GOING_AWAY": 1001,
        "PROTOCOL_ERROR": 1002,
        "UNSUPPORTED_DATA": 1003,
        "RESERVED": 1004,
        "NO_STATUS": 1005,
        "ABNORMAL_CLOSURE": 1006,
        "INVALID_PAYLOAD": 1007,
        "POLICY_VIOLATION": 1008,
        "MESSAGE_TOO_BIG": 1009,
        "MANDATORY_EXTENSION": 1010,
        "INTERNAL_ERROR": 1011,
        "SERVICE_RESTART": 1012,
        "TRY_AGAIN_LATER": 1013,
        "BAD_GATEWAY": 1014,
        "TLS_HANDSHAKE": 1015,
    }
    assert client.CLOSE_CODES.NORMAL == 1000


def test_all_of_them_are_public() -> None:
    assert all(hasattr(client, name) for name in client.__all__)
    assert {"TEXT", "BINARY", "COMPRESSION", "CLOSE_CODES"} <= set(client.__all__)

"""Agreeing on permessage-deflate in the handshake (RFC 6455, section 9.1; RFC 7692, section 7.1).

Both sides speak of one thing, the agreement: what each direction keeps from message to message,
and in how large a window.
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from wsfast.protocol.constants import Compression
from wsfast.protocol.deflate import Deflater, Inflater
from wsfast.protocol.headers import TOKEN
from wsfast.protocol.options import Options

__all__ = ["Deflate", "ExtensionError", "accept_answer", "answer_offers", "make_offer", "parse"]

Parameters: TypeAlias = list[tuple[str, str | None]]

PERMESSAGE_DEFLATE = "permessage-deflate"
MAX_WINDOW_BITS = 15

_SPACE = r"[ \t]*"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_NAME = re.compile(f"{_SPACE}({TOKEN}){_SPACE}")
_VALUE = re.compile(f"{_SPACE}(?:({TOKEN})|{_QUOTED}){_SPACE}")
_EMPTY = re.compile(f"{_SPACE}(?:,{_SPACE})*")
_WINDOW_BITS = re.compile("[89]|1[0-5]")


class ExtensionError(ValueError):
    """An extension header that no peer of ours may send. The text says why."""


@dataclass(frozen=True, slots=True)
class Deflate:
    """What was agreed on: for the messages of each side, the window and whether it is kept."""

    server_window_bits: int = MAX_WINDOW_BITS
    client_window_bits: int = MAX_WINDOW_BITS
    server_takeover: bool = True
    client_takeover: bool = True

    def deflater(self, options: Options, *, server: bool) -> Deflater:
        """What compresses the messages of one side."""
        bits = self.server_window_bits if server else self.client_window_bits
        takeover = self.server_takeover if server else self.client_takeover
        return Deflater(
            min(bits, options.compression_window_bits),
            options.compression_level,
            takeover=takeover and options.compression is Compression.CONTEXT_TAKEOVER,
        )

    def inflater(self, options: Options, *, server: bool) -> Inflater:
        """What inflates the messages that one side receives."""
        bits = self.client_window_bits if server else self.server_window_bits
        takeover = self.client_takeover if server else self.server_takeover
        return Inflater(bits, options.read_limit, takeover=takeover)


# ---------------------------------------------------------------- the header


def parse(values: list[str]) -> list[tuple[str, Parameters]]:
    """The extensions of all Sec-WebSocket-Extensions fields of a head, in order.

    Raises `ExtensionError` for what does not follow the grammar of RFC 6455, section 9.1. Linear
    in time.
    """
    return [extension for value in values for extension in _parse_field(value)]


def _parse_field(value: str) -> list[tuple[str, Parameters]]:
    extensions = []
    at = _skip_empty(value, 0)
    while at < len(value):
        name, at = _token(value, at)
        parameters: Parameters = []
        while value[at : at + 1] == ";":
            parameter, at = _token(value, at + 1)
            content = None
            if value[at : at + 1] == "=":
                content, at = _value(value, at + 1)
            parameters.append((parameter, content))
        extensions.append((name, parameters))
        if at < len(value) and value[at] != ",":
            raise _malformed()
        at = _skip_empty(value, at)
    return extensions


def _skip_empty(value: str, at: int) -> int:
    """Empty elements of a list mean nothing (RFC 9110, section 5.6.1.2)."""
    found = _EMPTY.match(value, at)
    assert found is not None  # it matches nothing too
    return found.end()


def _token(value: str, at: int) -> tuple[str, int]:
    found = _NAME.match(value, at)
    if found is None:
        raise _malformed()
    return found[1], found.end()


def _value(value: str, at: int) -> tuple[str, int]:
    found = _VALUE.match(value, at)
    if found is None:
        raise _malformed()
    content = found[1] if found[1] is not None else re.sub(r"\\(.)", r"\1", found[2])
    if not re.fullmatch(TOKEN, content):  # also once it is unquoted
        raise _malformed()
    return content, found.end()


def _malformed() -> ExtensionError:
    return ExtensionError("malformed Sec-WebSocket-Extensions")


# ---------------------------------------------------------------- parameters


def _read(parameters: Parameters, *, offer: bool) -> dict[str, int | None]:
    """The parameters of one permessage-deflate; None stands for a window size left open.

    Raises `ExtensionError` for one that is unknown, given twice, or has a wrong value.
    """
    found: dict[str, int | None] = {}
    for name, value in parameters:
        if name in found:
            raise ExtensionError(f"{PERMESSAGE_DEFLATE}: {name} stands twice")
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                raise ExtensionError(f"{PERMESSAGE_DEFLATE}: {name} takes no value")
            found[name] = None
        elif name == "client_max_window_bits" and value is None and offer:
            found[name] = None
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if value is None or not _WINDOW_BITS.fullmatch(value):
                raise ExtensionError(f"{PERMESSAGE_DEFLATE}: {name} is not 8 to 15")
            found[name] = int(value)
        else:
            raise ExtensionError(f"{PERMESSAGE_DEFLATE}: unknown parameter")
    return found


def _bits(parameters: dict[str, int | None], name: str) -> int:
    return parameters.get(name) or MAX_WINDOW_BITS


def _write(parameters: list[str]) -> str:
    return "; ".join([PERMESSAGE_DEFLATE, *parameters])


# ---------------------------------------------------------------- client


def make_offer(options: Options) -> str | None:
    """The extension that a client offers; None if it wants none."""
    if options.compression is Compression.DISABLED:
        return None
    parameters = []
    if options.compression is Compression.NO_CONTEXT:
        parameters += ["server_no_context_takeover", "client_no_context_takeover"]
    if options.compression_window_bits == MAX_WINDOW_BITS:
        parameters.append("client_max_window_bits")
    else:
        parameters.append(f"server_max_window_bits={options.compression_window_bits}")
        parameters.append(f"client_max_window_bits={options.compression_window_bits}")
    return _write(parameters)


def accept_answer(values: list[str], options: Options) -> Deflate | None:
    """What a server agreed to, from its Sec-WebSocket-Extensions; None if to nothing.

    A server that leaves out what it was asked for as a hint is taken as it is: its larger window,
    and the context it keeps, cost memory only.

    Raises `ExtensionError` for what was not offered, or may not be answered.
    """
    extensions = parse(values)
    if not extensions:
        return None
    offered = options.compression is not Compression.DISABLED
    if not offered or [name for name, _ in extensions] != [PERMESSAGE_DEFLATE]:
        raise ExtensionError("the server chose an extension that was not offered")
    parameters = _read(extensions[0][1], offer=False)
    server_bits = _bits(parameters, "server_max_window_bits")
    if "server_max_window_bits" in parameters and server_bits > options.compression_window_bits:
        raise ExtensionError(f"{PERMESSAGE_DEFLATE}: server_max_window_bits is over our offer")
    return Deflate(
        server_window_bits=server_bits,
        client_window_bits=_bits(parameters, "client_max_window_bits"),
        server_takeover="server_no_context_takeover" not in parameters,
        client_takeover="client_no_context_takeover" not in parameters,
    )


# ---------------------------------------------------------------- server


def answer_offers(values: list[str], options: Options) -> tuple[Deflate, str] | None:
    """The first offer that a server can accept, and its answer; None if there is none.

    An offer with a parameter that is unknown or wrong is declined (RFC 7692, section 7.1). Raises
    `ExtensionError` for a header that does not follow the grammar.
    """
    for name, parameters in parse(values):
        if name == PERMESSAGE_DEFLATE and options.compression is not Compression.DISABLED:
            try:
                offer = _read(parameters, offer=True)
            except ExtensionError:
                continue
            return _answer(offer, options)
    return None


def _answer(offer: dict[str, int | None], options: Options) -> tuple[Deflate, str]:
    ours = options.compression_window_bits
    keep = options.compression is Compression.CONTEXT_TAKEOVER
    agreed = Deflate(
        server_window_bits=min(ours, _bits(offer, "server_max_window_bits")),
        client_window_bits=(
            min(ours, _bits(offer, "client_max_window_bits"))
            if "client_max_window_bits" in offer
            else MAX_WINDOW_BITS  # a client that does not name it cannot be asked for less
        ),
        server_takeover=keep and "server_no_context_takeover" not in offer,
        client_takeover=keep and "client_no_context_takeover" not in offer,
    )
    parameters = []
    if not agreed.server_takeover:
        parameters.append("server_no_context_takeover")
    if not agreed.client_takeover:
        parameters.append("client_no_context_takeover")
    if agreed.server_window_bits < MAX_WINDOW_BITS or "server_max_window_bits" in offer:
        parameters.append(f"server_max_window_bits={agreed.server_window_bits}")
    if agreed.client_window_bits < MAX_WINDOW_BITS:
        parameters.append(f"client_max_window_bits={agreed.client_window_bits}")
    return agreed, _write(parameters)

"""Messages to bytes, as clients send them (masked) and as servers do. Where a contender has no call
that gives the bytes, it writes them to a transport that only keeps them."""

from collections.abc import Callable

import pytest
from micro_peers import ENCODERS, installed, wsfast_decoder
from micro_wire import SIZES, message


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("contender", ENCODERS)
def test_one_message(
    contender: str, side: str, kind: str, size: str, measure: Callable[..., None]
) -> None:
    module, make = ENCODERS[contender]
    if not installed(module):
        pytest.skip(f"{contender} is not installed")
    encode = make(server=side == "server")
    if encode is None:
        pytest.skip(f"{contender} has no {side}")
    sent = message(SIZES[size], text=kind == "text")
    made = encode(sent)
    whole = made if isinstance(made, bytes) else b"".join(made)
    assert wsfast_decoder(server=side == "client")([whole]) == [sent]
    measure(f"encode, {kind}, {side}, {size}", contender, encode, sent)

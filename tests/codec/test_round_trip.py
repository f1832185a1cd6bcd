"""What an outbox sends, a decoder of the other role returns: any messages, however cut."""

from dataclasses import dataclass

import codec_reference
import pytest
from codec_wire import BINARY, CONTINUATION, TEXT, WAYS, cut
from hypothesis import given
from hypothesis import strategies as st

from wsfast.codec import Close, Decoder, Outbox, Ping, Pong

Control = Ping | Pong


@dataclass
class Fragmented:
    """A message, where it is cut, and the control frames that go out after each piece."""

    message: str | bytes
    places: list[int]
    controls: list[list[Control]]

    def send(self, outbox: Outbox) -> list[object]:
        """Adds it to the outbox, frame by frame, and returns the events that must come of it."""
        events: list[object] = []
        text = isinstance(self.message, str)
        data = self.message.encode() if isinstance(self.message, str) else self.message
        pieces = list(cut(data, [place % (len(data) + 1) for place in self.places]))
        for i, piece in enumerate(pieces):
            last = i == len(pieces) - 1
            outbox.frame((TEXT if text else BINARY) if i == 0 else CONTINUATION, piece, fin=last)
            if last:
                events.append(self.message)
            for control in self.controls[i] if i < len(self.controls) else []:
                send_control(outbox, control)
                events.append(control)
        return events


def send_control(outbox: Outbox, control: Control) -> None:
    if isinstance(control, Ping):
        outbox.ping(control.data)
    else:
        outbox.pong(control.data)


sizes = st.sampled_from([0, 1, 2, 124, 125, 126, 127, 128, 300, 4095, 65535, 65536, 70_000])
messages = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40),
    sizes.map(lambda size: (bytes(range(253)) * 300)[:size]),
    sizes.map(lambda size: ("aé€🎈" * 20_000)[:size]),
)
payloads = st.binary(max_size=125)
controls = st.one_of(payloads.map(Ping), payloads.map(Pong))
items = st.one_of(
    messages,
    controls,
    st.builds(
        Fragmented,
        messages,
        st.lists(st.integers(0, 100_000), max_size=5),
        st.lists(st.lists(controls, max_size=2), max_size=6),
    ),
)


def send_all(outbox: Outbox, to_send: list[object]) -> list[object]:
    events: list[object] = []
    for item in to_send:
        if isinstance(item, Fragmented):
            events += item.send(outbox)
            continue
        events.append(item)
        if isinstance(item, str | bytes):
            outbox.message(item)
        else:
            assert isinstance(item, Ping | Pong)
            send_control(outbox, item)
    return events


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("server", [False, True])
@given(data=st.data())
def test_round_trip(give, server: bool, data: st.DataObject) -> None:
    outbox = Outbox(server=not server)
    expected = send_all(outbox, data.draw(st.lists(items, max_size=8)))
    if data.draw(st.booleans()):
        outbox.close(1000, b"bye")
        expected.append(Close(1000, "bye"))
    stream = outbox.take()
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    decoder = Decoder(server=server, buffer_size=data.draw(st.sampled_from([1, 14, 100, 65536])))
    assert give(decoder, cut(stream, places)) == expected


@pytest.mark.parametrize("server", [False, True])
@given(to_send=st.lists(items, max_size=6))
def test_the_reference_reads_it_too(server: bool, to_send: list[object]) -> None:
    outbox = Outbox(server=not server)
    expected = send_all(outbox, to_send)
    assert codec_reference.decode(outbox.take(), server=server) == expected

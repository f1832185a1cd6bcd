"""The contenders: our code and what of the other libraries can be called without a socket.

Each adaptor does what the library's own connection does with the bytes, and no more: text becomes
`str` where the library hands out `str`, and limits are ours. A library that is not installed is
left out, and the run says so.
"""

import asyncio
import importlib
import importlib.util
import io
import logging
import socket
from collections.abc import Callable, Coroutine
from types import ModuleType, SimpleNamespace
from typing import Any

from micro_wire import BINARY, TEXT, Message

from wsfast.codec import Decoder, Outbox

LIMIT = 16 << 20

Decode = Callable[[list[bytes]], list[Message]]
"""Chunks in, the messages that they hold out."""

Encode = Callable[[Message], Any]
"""A message in, out what can be written to a socket: bytes, or a list of them."""


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def optional(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


# -------------------------------------------------------------- wsfast


def wsfast_decoder(*, server: bool) -> Decode:
    feed = Decoder(server=server, max_message=LIMIT).feed

    def decode(chunks: list[bytes]) -> list[Message]:
        messages: list[Message] = []
        for chunk in chunks:
            messages += feed(chunk)
        return messages

    return decode


def wsfast_encoder(*, server: bool) -> Encode:
    outbox = Outbox(server=server)

    def encode(message: Message) -> bytes:
        outbox.message(message)
        return outbox.take()

    return encode


# -------------------------------------------------------------- websockets


def websockets_protocol(*, server: bool, extensions: Any = None) -> Any:
    from websockets.client import ClientProtocol
    from websockets.protocol import State
    from websockets.server import ServerProtocol
    from websockets.uri import parse_uri

    if server:
        protocol: Any = ServerProtocol(state=State.OPEN, max_size=LIMIT)
    else:
        protocol = ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=LIMIT)
    protocol.extensions = extensions or []
    return protocol


def websockets_decoder(*, server: bool, extensions: Any = None) -> Decode:
    protocol = websockets_protocol(server=server, extensions=extensions)

    def decode(chunks: list[bytes]) -> list[Message]:
        messages: list[Message] = []
        for chunk in chunks:
            protocol.receive_data(chunk)
            messages += [
                each.data.decode() if each.opcode == TEXT else bytes(each.data)
                for each in protocol.events_received()
            ]
        return messages

    return decode


def websockets_encoder(*, server: bool, extensions: Any = None) -> Encode:
    protocol = websockets_protocol(server=server, extensions=extensions)

    def encode(message: Message) -> list[bytes]:
        if isinstance(message, str):
            protocol.send_text(message.encode())
        else:
            protocol.send_binary(message)
        data: list[bytes] = protocol.data_to_send()
        return data

    return encode


# -------------------------------------------------------------- aiohttp


class _Transport:
    """What aiohttp and picows write to: keeps the last thing written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, data: list[bytes]) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def take(self) -> list[bytes]:
        taken, self.written = self.written, []
        return taken


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs what has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value
    raise RuntimeError("it waits for something")


def aiohttp_decoder(*, server: bool, compress: bool = False) -> Decode:
    from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

    del server  # it takes frames masked or not, on either side
    protocol: Any = SimpleNamespace(_reading_paused=False, pause_reading=lambda: None)
    loop = asyncio.new_event_loop()
    queue = WebSocketDataQueue(protocol, LIMIT * 4, loop=loop)
    loop.close()
    reader = WebSocketReader(queue, LIMIT, compress, True)

    def decode(chunks: list[bytes]) -> list[Message]:
        for chunk in chunks:
            reader.feed_data(chunk)
        messages = []
        while queue._buffer:
            messages.append(_run(queue.read()).data)
        return messages

    return decode


def aiohttp_writer(transport: Any, *, server: bool, compress: int = 0) -> Any:
    from aiohttp._websocket.writer import WebSocketWriter

    protocol: Any = SimpleNamespace(_paused=False)
    return WebSocketWriter(protocol, transport, use_mask=not server, compress=compress)


def aiohttp_encoder(*, server: bool) -> Encode:
    transport = _Transport()
    writer = aiohttp_writer(transport, server=server)

    def encode(message: Message) -> list[bytes]:
        if isinstance(message, str):
            _run(writer.send_frame(message.encode(), TEXT))
        else:
            _run(writer.send_frame(message, BINARY))
        return transport.take()

    return encode


# -------------------------------------------------------------- wsproto


def wsproto_connection(*, server: bool, extensions: Any = None) -> Any:
    from wsproto.connection import CLIENT, SERVER, Connection

    return Connection(SERVER if server else CLIENT, extensions)


def wsproto_decoder(*, server: bool, extensions: Any = None) -> Decode:
    connection = wsproto_connection(server=server, extensions=extensions)
    parts: list[Any] = []

    def decode(chunks: list[bytes]) -> list[Message]:
        messages: list[Message] = []
        for chunk in chunks:
            connection.receive_data(chunk)
            for event in connection.events():
                parts.append(event.data)
                if event.message_finished:
                    whole = parts[0] if len(parts) == 1 else type(parts[0])().join(parts)
                    messages.append(whole if isinstance(whole, str) else bytes(whole))
                    parts.clear()
        return messages

    return decode


def wsproto_encoder(*, server: bool, extensions: Any = None) -> Encode:
    from wsproto.events import BytesMessage, TextMessage

    connection = wsproto_connection(server=server, extensions=extensions)

    def encode(message: Message) -> bytes:
        if isinstance(message, str):
            data: bytes = connection.send(TextMessage(message))
        else:
            data = connection.send(BytesMessage(message))
        return data

    return encode


# -------------------------------------------------------------- websocket-client


def websocket_client_decoder(*, server: bool) -> Decode:
    from websocket._abnf import ABNF, frame_buffer

    del server  # it takes frames masked or not
    chunks_left: list[bytes] = []
    chunk = io.BytesIO()

    def receive(size: int) -> bytes:
        data = chunk.read(size)
        if data or not chunks_left:
            return data
        chunk.__init__(chunks_left.pop())  # another chunk, the same object
        return chunk.read(size)

    frames = frame_buffer(receive, skip_utf8_validation=False)

    def decode(chunks: list[bytes]) -> list[Message]:
        chunks_left[:] = reversed(chunks)
        size = sum(map(len, chunks))
        messages: list[Message] = []
        while size > 0:
            got = frames.recv_frame()
            data: Any = got.data
            payload = len(data)
            size -= payload + (2 if payload < 126 else 4 if payload < 1 << 16 else 10)
            size -= 4 if got.mask_value else 0
            messages.append(data.decode() if got.opcode == ABNF.OPCODE_TEXT else data)
        return messages

    return decode


def websocket_client_encoder(*, server: bool) -> Encode | None:
    from websocket._abnf import ABNF

    if server:
        return None

    def encode(message: Message) -> bytes:
        opcode = ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY
        return ABNF.create_frame(message, opcode).format()

    return encode


# -------------------------------------------------------------- picows


class _PicowsTransport(_Transport):
    """One that says it is busy: picows then hands the frame over, where it would call send(2)."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = socket.socket()

    def get_extra_info(self, name: str) -> Any:
        return self.socket if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return 1


_ACCEPTED = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {}\r\n\r\n"
)
_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def _picows_protocol(listener: Any, transport: Any, *, server: bool) -> Any:
    """Its protocol object, past the handshake."""
    from picows.picows import WSAutoPingStrategy, WSProtocol

    logger = logging.getLogger("picows")
    logger.setLevel(logging.ERROR)

    async def make() -> Any:
        protocol = WSProtocol(
            "localhost", "/", not server, lambda *_: listener, logger, True, None, False, 10, 10,
            WSAutoPingStrategy.PING_WHEN_IDLE, True, LIMIT, None, 1 << 16,
        )  # fmt: skip
        protocol.connection_made(transport)
        return protocol

    loop = asyncio.new_event_loop()
    protocol = loop.run_until_complete(make())
    picows_feed(protocol, _REQUEST if server else _answer(transport.take()[0]))
    transport.take()
    transport.socket.close()
    loop.close()
    return protocol


def _answer(request: bytes) -> bytes:
    from wsfast.protocol.handshake import accept_value

    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
    return _ACCEPTED.format(accept_value(key.decode())).encode()


def picows_feed(protocol: Any, data: bytes) -> None:
    """As a transport does: it writes into the protocol's buffer and says how much."""
    view = memoryview(data)
    while view:
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(view))
        buffer[:size] = view[:size]
        protocol.buffer_updated(size)
        view = view[size:]


def picows_decoder(*, server: bool) -> Decode:
    from picows import WSListener, WSMsgType

    messages: list[Message] = []
    text = WSMsgType.TEXT

    class Listener(WSListener):
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == text:
                messages.append(frame.get_payload_as_utf8_text())
            else:
                messages.append(frame.get_payload_as_bytes())

    listener = Listener()
    protocol = _picows_protocol(listener, _PicowsTransport(), server=server)

    def decode(chunks: list[bytes], kept: Any = listener) -> list[Message]:
        messages.clear()
        for chunk in chunks:
            picows_feed(protocol, chunk)
        return messages

    return decode


def picows_encoder(*, server: bool) -> Encode:
    from picows import WSListener, WSMsgType

    transport, listener = _PicowsTransport(), WSListener()
    send = _picows_protocol(listener, transport, server=server).transport.send
    text, binary = WSMsgType.TEXT, WSMsgType.BINARY

    def encode(message: Message, kept: Any = listener) -> list[bytes]:
        if isinstance(message, str):
            send(text, message.encode())
        else:
            send(binary, message)
        return transport.take()

    return encode


# -------------------------------------------------------------- who takes part

DECODERS: dict[str, tuple[str, Callable[..., Decode]]] = {
    "wsfast": ("wsfast", wsfast_decoder),
    "picows": ("picows", picows_decoder),
    "aiohttp": ("aiohttp", aiohttp_decoder),
    "websockets": ("websockets", websockets_decoder),
    "wsproto": ("wsproto", wsproto_decoder),
    "websocket-client": ("websocket", websocket_client_decoder),
}
"""Name: the module that must be there, and what makes the contender."""

ENCODERS: dict[str, tuple[str, Callable[..., Encode | None]]] = {
    "wsfast": ("wsfast", wsfast_encoder),
    "picows": ("picows", picows_encoder),
    "aiohttp": ("aiohttp", aiohttp_encoder),
    "websockets": ("websockets", websockets_encoder),
    "wsproto": ("wsproto", wsproto_encoder),
    "websocket-client": ("websocket", websocket_client_encoder),
}

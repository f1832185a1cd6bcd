"""picows' core API, its fastest, on uvloop. It checks neither UTF-8 nor the order of fragments."""

from picows import WSListener, WSMsgType, ws_create_server
from serving import BACKLOG, READ_LIMIT, Serving, forever, run


class Echo(WSListener):
    def on_ws_frame(self, transport, frame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def serve(serving: Serving) -> None:
    connected = set()

    class Everybody(WSListener):
        def on_ws_connected(self, transport) -> None:
            connected.add(transport)

        def on_ws_disconnected(self, transport) -> None:
            connected.discard(transport)

        def on_ws_frame(self, transport, frame) -> None:
            if frame.msg_type == WSMsgType.BINARY:
                data, binary = frame.get_payload_as_bytes(), WSMsgType.BINARY
                for each in connected:
                    each.send(binary, data)

    listener = Everybody if serving.broadcast else Echo
    server = await ws_create_server(
        lambda request: listener(),
        "127.0.0.1",
        0,
        max_frame_size=READ_LIMIT,
        use_aiofastnet=serving.transport != "uvloop",
        backlog=BACKLOG,
    )
    serving.ready(server.sockets[0].getsockname()[1])
    await forever()


if __name__ == "__main__":
    run(serve)

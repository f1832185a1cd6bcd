"""A relay: WebSockets of any ASGI application, handed to processes (seed 003).

    from fastapi import FastAPI, Response
    from wsfast import process, relay

    app = FastAPI()
    app.add_middleware(relay.WebSocketRelay)

    async def echo():
        async for topic, payload, client in process.inbox():
            if topic == "ws.message":
                process.send(client, "ws.send", {"data": payload["data"]})

    @app.get("/echo")
    async def open_echo(response: Response):
        response.headers[relay.HEADER] = relay.header(process.spawn(echo))

The handler is an ordinary one, for HTTP. The process that it names in the header field gets what
the client sends; the client is a process, too, that anyone can send to, monitor, link to, cancel.

=================  ====================================  ===========================================
To the target      when                                  payload, a dict
=================  ====================================  ===========================================
``ws.join``        the client is there                   client_pid, metadata
``ws.message``     it has sent something                 client_pid, type ("text", "binary"), data,
                                                         metadata
``ws.heartbeat``   every `heartbeat_interval`            client_pid, uptime (seconds),
                                                         message_count, metadata
``ws.leave``       it is gone, or was transferred        client_pid, reason, metadata
=================  ====================================  ===========================================

=================  ====================================  ===========================================
To the client      what it does                          payload, a mapping
=================  ====================================  ===========================================
``ws.send``        sends a message                       data, and type ("text", "binary"; or by
                                                         the data's own)
``ws.close``       closes, after what was sent before    code (1000), reason
``ws.control``     makes another process the target      target_pid, message_topic (as it was)
=================  ====================================  ===========================================

A payload that is wrong is logged, and nothing happens (a ``ws.close`` closes with 1000). If the
target ends, so does the connection, after what it has sent: with 1000, 1001 if it was cancelled or
had ended before, 1011 if it crashed or its node is lost. `cancel` closes with 1001, the crash of a
linked process with 1011.

The end of the connection gives monitors an EXIT event, whose `result` has `code`, `reason` and
`clean` (whether there was a closing handshake). Its reason is "normal" if that was clean, with one
of the codes 1000, 1001, 1005 or 3000 to 4999; what was given to `cancel`; that of the linked
process; otherwise it says the code, and links go down. The reason of `ws.leave` is that of the
close frame, or without one "closed", "connection lost", and "transferred".
"""

from wsfast.relay.invitation import HEADER, header
from wsfast.relay.middleware import WebSocketRelay
from wsfast.relay.settings import Options, Overflow

__all__ = ["HEADER", "Options", "Overflow", "WebSocketRelay", "header"]

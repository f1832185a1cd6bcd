"""The exceptions of the package, and how to tell them apart (seed 001).

    from wsfast import errors
    from wsfast.client import connect

    try:
        client = connect(url)
    except errors.WebSocketError as err:
        if errors.is_(err, errors.PERMISSION_DENIED):
            print("access denied:", err)
        elif err.retryable:
            print("a temporary error:", err)

`kind` and `retryable` are attributes of each error; the kind is `PERMISSION_DENIED` for the first
of these, and `INTERNAL` for all others:

=================================================  ====================  =========
condition                                          exception             retryable
=================================================  ====================  =========
a policy allows no connections, not this URL, or   `PermissionDenied`    no
no address of its host
a policy is required, and there is none; a         `NoContext`           no
process is required, and the code is in none
no such name, refused, reset, no route             `ConnectError`        yes
not open within `dial_timeout`                     `ConnectTimeout`      yes
the TLS handshake failed                           `TLSError`            yes
the certificate was refused                        `CertificateError`    no
the server answered with an HTTP status            `StatusError`         from 500
the server answered with no WebSocket handshake    `HandshakeError`      no
a redirect that is not followed                    `RedirectError`       no
the proxy failed, or refused                       `ProxyError`          if it failed
a bad URL                                          `InvalidURL`          no
a bad option or header                             `InvalidOption`       no
the connection was closed before                   `ConnectionClosed`    no
the connection was lost                            `ConnectionLost`      yes
the peer broke the protocol or a limit             `ProtocolError`       no
the connection is the parent process's             `ForkedError`         no
the send queue is full (`send_overflow="fail"`)    `QueueFull`           yes
no room in it within `write_timeout`               `SendTimeout`         yes
no pong within the timeout of a ping               `PongTimeout`         yes
a channel that was sent on is closed               `ChannelClosed`       no
no process has this name, or this PID any more     `NoProcess`           no
another process has the name already               `NameTaken`           no
=================================================  ====================  =========

`InvalidURL` and `InvalidOption` are also `ValueError`; `ConnectTimeout`, `SendTimeout` and
`PongTimeout` are also `TimeoutError`. A value of a wrong type is a plain `TypeError`, a close code
or reason that may not be sent a plain `ValueError`.

Of these the functions of the ID API raise `InvalidOption` alone: a connection that is refused at
once has the id 0, and all else is told by `on_error`. There is no exception for an id that they do
not know, because that is no error there: `send`, `close` and `is_connected` answer False,
`get_messages` and `get_url` what is empty, and `get_state` says "disconnected" (seed 004).
"""

from wsfast.protocol.errors import (
    INTERNAL,
    PERMISSION_DENIED,
    CertificateError,
    ChannelClosed,
    ConnectError,
    ConnectionClosed,
    ConnectionLost,
    ConnectTimeout,
    ForkedError,
    HandshakeError,
    InvalidOption,
    InvalidURL,
    Kind,
    NameTaken,
    NoContext,
    NoProcess,
    PermissionDenied,
    PongTimeout,
    ProtocolError,
    ProxyError,
    QueueFull,
    RedirectError,
    SendTimeout,
    StatusError,
    TLSError,
    WebSocketError,
    is_,
)

__all__ = [
    "INTERNAL",
    "PERMISSION_DENIED",
    "CertificateError",
    "ChannelClosed",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionClosed",
    "ConnectionLost",
    "ForkedError",
    "HandshakeError",
    "InvalidOption",
    "InvalidURL",
    "Kind",
    "NameTaken",
    "NoContext",
    "NoProcess",
    "PermissionDenied",
    "PongTimeout",
    "ProtocolError",
    "ProxyError",
    "QueueFull",
    "RedirectError",
    "SendTimeout",
    "StatusError",
    "TLSError",
    "WebSocketError",
    "is_",
]

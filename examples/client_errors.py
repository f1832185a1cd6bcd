"""What `connect` can raise, and how a program tells it apart: denied, temporary, for good."""

from urllib.parse import urlsplit

from _failing import no_server, no_tls_server, silent_server
from _server import run

from wsfast import errors, security
from wsfast.client import connect
from wsfast.security import allow


def attempt(url: str, **options) -> str:
    """Connects, closes, and says how that went."""
    try:
        client = connect(url, **options)
    except errors.WebSocketError as error:
        if errors.is_(error, errors.PERMISSION_DENIED):
            print("Access denied:", error)
            return "denied"
        if error.retryable:
            print("Temporary error:", error)
            return "temporary"
        print("Error:", error)
        return "for good"
    client.close()
    print("Connected, and closed:", client.close_code)
    return "connected"


def main(url: str) -> bool:
    outcomes = [attempt(url)]
    with no_server() as address:
        outcomes.append(attempt(address))
    with silent_server() as address:
        outcomes.append(attempt(address, dial_timeout="300ms"))
    with no_tls_server() as address:
        outcomes.append(attempt(address))
    outcomes.append(attempt("http://example.com/"))
    with security.use(security.Policy([])):  # allows nothing
        outcomes.append(attempt(url))
    here = urlsplit(url)._replace(path="", query="").geturl()
    rules = [allow("websocket.connect"), allow("websocket.connect.url", here)]
    with security.use(security.Policy(rules, allow_private=True)):
        outcomes.append(attempt("wss://example.com/"))
        outcomes.append(attempt(url))
    return outcomes == [
        "connected",
        "temporary",
        "temporary",
        "temporary",
        "for good",
        "denied",
        "denied",
        "connected",
    ]


if __name__ == "__main__":
    run(main, "echo")

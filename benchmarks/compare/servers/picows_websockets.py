"""picows' websockets API, on uvloop."""

from picows.websockets.asyncio.server import broadcast, serve
from serving import run
from websockets_asyncio import serve_by

if __name__ == "__main__":
    run(serve_by(serve, broadcast))

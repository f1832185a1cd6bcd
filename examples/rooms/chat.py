"""A chat with rooms: FastAPI, a process for each room, and as many workers as you like.

python examples/rooms/chat.py                                        then http://127.0.0.1:8000/
python examples/rooms/chat.py --workers 2 --redis redis://localhost
"""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from wsfast import process, relay
from wsfast.channel import after, aselect

HERE = Path(__file__).parent
REDIS = "CHAT_REDIS"
EMPTY_FOR = "30s"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Each worker is a node. Without Redis there is one, and nothing to join."""
    if url := os.environ.get(REDIS):
        await asyncio.to_thread(process.join, url, namespace="chat")
    yield
    await asyncio.to_thread(process.leave)


app = FastAPI(lifespan=lifespan)
app.add_middleware(relay.WebSocketRelay, prefix="/rooms")


async def room() -> None:
    """Knows who is in it, tells all of them what happens, and ends when it has been empty."""
    members: dict[process.PID, str] = {}

    def tell_all(kind: str, nick: str, **details: Any) -> None:
        here = sorted(members.values())
        text = json.dumps({"kind": kind, "nick": nick, "here": here, **details})
        for client in members:
            process.send(client, "ws.send", {"data": text})

    def gone(client: process.PID) -> None:
        if (nick := members.pop(client, None)) is not None:
            tell_all("left", nick)

    inbox, events = process.inbox(), process.events()
    empty = after(EMPTY_FOR)
    while True:
        cases = [inbox.case_receive(), events.case_receive()]
        found = await aselect(cases if members else [*cases, empty.case_receive()])
        if found.channel is empty:
            return
        if found.channel is events:
            # A member whose worker was lost could not send a `ws.leave`.
            gone(found.value.sender)
        else:
            topic, payload, client = found.value
            if topic == "ws.join":
                process.monitor(client)
                members[client] = payload["metadata"]["nick"]
                tell_all("joined", members[client], worker=client.node)
            elif topic == "ws.message" and client in members:
                tell_all("said", members[client], text=payload["data"])
            elif topic == "ws.leave":
                process.unmonitor(client)
                gone(client)
        if not members:
            empty = after(EMPTY_FOR)


async def find_or_open(name: str) -> process.PID:
    """The room of that name, wherever it is. Two workers may want to open it at once; then the one
    that was too late hears of the other's in a moment."""
    for _ in range(100):
        if (found := process.registry.lookup(name)) is not None:
            return found
        try:
            return process.spawn(room, name=name)
        except process.NameTaken:
            await asyncio.sleep(0.01)
        except ConnectionError:  # Redis is away
            break
    raise HTTPException(503)


@app.get("/rooms/{name}")
async def enter(
    name: str,
    nick: Annotated[str, Query(min_length=1, max_length=40)],
    request: Request,
    response: Response,
) -> None:
    """Asked when a WebSocket is opened: by whom, and to which process does it lead?"""
    if "upgrade" not in request.headers:
        raise HTTPException(426)
    target = await find_or_open(f"room {name}"[:255])
    response.headers[relay.HEADER] = relay.header(target, metadata={"nick": nick})


@app.get("/")
async def page() -> HTMLResponse:
    """The page, which does all else in the browser."""
    return HTMLResponse((HERE / "page.html").read_text(encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description="A chat with rooms.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--redis", metavar="URL", help="what makes several workers one")
    args = parser.parse_args()
    if args.workers > 1 and not args.redis:
        parser.error("several workers need --redis")
    if args.redis:
        os.environ[REDIS] = args.redis
    uvicorn.run(
        "chat:app",
        app_dir=str(HERE),
        host=args.host,
        port=args.port,
        workers=args.workers,
        ws="wsfast.uvicorn:WebSocketProtocol",
        timeout_worker_healthcheck=60,  # on a busy machine a worker may need that long to start
    )


if __name__ == "__main__":
    main()

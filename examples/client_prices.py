"""A stream of prices, and a ping whenever it has been quiet for a while: two channels, one select.

For a dead peer to be noticed no such ping is needed, see `ping_interval`; here it is one of several
things that one thread waits for at once.
"""

import json
from contextlib import suppress

from _server import run

from wsfast.channel import after, select
from wsfast.client import connect
from wsfast.errors import ConnectError, ConnectionClosed

QUIET = "50ms"
"""30 s would be usual."""


def main(url: str) -> bool:
    prices, pings = {}, 0
    try:
        client = connect(url)
    except ConnectError as error:
        print("Error:", error)
        return False

    with client:
        client.send(json.dumps({"action": "subscribe", "symbols": ["BTC-USD", "ETH-USD"]}))
        channel = client.channel()
        heartbeat = after(QUIET)
        while True:
            chosen = select([channel.case_receive(), heartbeat.case_receive()])
            if chosen.channel is heartbeat:
                with suppress(ConnectionClosed):  # just now; the channel will tell
                    client.ping()
                    print("Quiet, but alive")
                    pings += 1
            elif not chosen.ok:
                break  # closed
            else:
                price = json.loads(chosen.value.data)
                print(f"{price['symbol']}: {price['value']:.2f}")
                prices[price["symbol"]] = price["value"]
            heartbeat = after(QUIET)

    print("Closed:", client.close_code, client.close_reason)
    return pings > 0 and prices == {"BTC-USD": 50_002.0, "ETH-USD": 3_002.0}


if __name__ == "__main__":
    run(main, "prices")

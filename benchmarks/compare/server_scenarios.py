"""What is asked of servers: each scenario is one row of the question "how fast, how large?"."""

from dataclasses import dataclass

KIB = 1024
SIZES = {"64B": 64, "16KiB": 16 * KIB}


@dataclass(frozen=True)
class ServerScenario:
    """One thing that every server is asked to do."""

    name: str
    task: str  # echo, broadcast, accepts or idle
    connections: int
    flight: int = 1  # messages of each connection that are on their way
    size: int = 64
    short: bool = False  # belongs to the short set

    deflate = False
    fixed_count = 0

    @property
    def same_core(self) -> bool:
        """As for clients: with one message on its way, waking another core costs more than the
        rest."""
        return self.task == "echo" and self.connections == self.flight == 1


def _echoes() -> list[ServerScenario]:
    return [
        ServerScenario(
            f"server-echo-{size}-{connections}x{flight}", "echo", connections, flight, SIZES[size],
            short=connections in (50, 500) and (flight == 1 or size == "64B"),
        )
        for connections in (1, 50, 500, 5000)
        for size in SIZES
        for flight in (1, 16)
    ]  # fmt: skip


SCENARIOS = [
    *_echoes(),
    ServerScenario("server-broadcast-1000", "broadcast", 1000, short=True),
    ServerScenario("server-broadcast-5000", "broadcast", 5000),
    ServerScenario("server-accepts", "accepts", 1000, short=True),
    ServerScenario("server-idle", "idle", 1000, short=True),
]

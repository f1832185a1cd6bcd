"""A process for the test itself, and a look at what is left of all others."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from process_fixtures import me, no_processes_left
from redis_helpers import RedisProcess, Worker, running_redis

from wsfast import process

__all__ = ["me", "no_processes_left"]  # fixtures for the tests here


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisProcess]:
    """One Redis for all tests that leave it alone."""
    yield from running_redis()


@pytest.fixture
def redis_process() -> Iterator[RedisProcess]:
    """One of the test's own, to be killed."""
    yield from running_redis()


@pytest.fixture
def start_worker() -> Iterator[Callable[..., Worker]]:
    """Starts programs that have joined: `start_worker(url, **options)`."""
    workers: list[Worker] = []

    def start(url: str, **options: Any) -> Worker:
        workers.append(Worker(url, **options))
        return workers[-1]

    yield start
    for each in workers:
        each.end()


@pytest.fixture
def leaving() -> Iterator[None]:
    """Leaves after the test."""
    yield
    process.leave()


@pytest.fixture(scope="session")
def shared_worker(shared_redis: RedisProcess) -> Iterator[Worker]:
    """A program that has joined, for all tests that leave it as it is."""
    worker = Worker(shared_redis.url, namespace="shared")
    yield worker
    worker.end()


@pytest.fixture
def worker(shared_redis: RedisProcess, shared_worker: Worker, me: process.PID) -> Iterator[Worker]:
    """The same, with the program of the test joined to it."""
    process.join(shared_redis.url, namespace="shared")
    yield shared_worker
    process.leave()

"""Few combinations in which all pairs occur."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, TypeAlias

Row: TypeAlias = list[int]  # for each parameter, which of its values
Pair: TypeAlias = tuple[int, int, int, int]

TRIES = 40
"""Rows to choose the next one from. More of them make fewer rows in the end."""


def pairs(parameters: Sequence[Sequence[Any]], rank: Callable[[list[Any]], int]) -> list[list[Any]]:
    """Combinations of one value for each parameter, so that any two values of two parameters stand
    in one of them together: in one of rank 2 if there is any, else of rank 1, else of 0. The same
    in every run."""
    chance = random.Random(0)

    def values(row: Row) -> list[Any]:
        return [parameter[value] for parameter, value in zip(parameters, row, strict=True)]

    def candidates(pair: Pair) -> Iterator[Row]:
        for _ in range(TRIES):
            row = [chance.randrange(len(parameter)) for parameter in parameters]
            row[pair[0]], row[pair[2]] = pair[1], pair[3]
            yield row

    left = dict.fromkeys(_all_pairs(parameters))  # a set that keeps its order
    rows = []
    while left:
        wanted = next(iter(left))
        tried = list(candidates(wanted))
        best = max(tried, key=lambda row: (rank(values(row)), len(left.keys() & _pairs_in(row))))
        for pair in _pairs_in(best) if rank(values(best)) == 2 else {wanted}:
            left.pop(pair, None)
        rows.append(values(best))
    return rows


def _all_pairs(parameters: Sequence[Sequence[Any]]) -> Iterator[Pair]:
    for (i, some), (j, others) in combinations(enumerate(parameters), 2):
        for a in range(len(some)):
            for b in range(len(others)):
                yield i, a, j, b


def _pairs_in(row: Row) -> set[Pair]:
    return {(i, a, j, b) for (i, a), (j, b) in combinations(enumerate(row), 2)}

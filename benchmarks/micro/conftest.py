"""What the cases share: one case is a group of pytest-benchmark, its contenders stand beside each
other in it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside this one, without a package


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., None]:
    """`measure(case, contender, function, *arguments)`: times calls of the function.

    `count` is how many operations one call does, such as messages decoded; what else is given by
    name goes to the table too.
    """

    def run(
        case: str,
        contender: str,
        function: Callable[..., Any],
        *arguments: Any,
        count: int = 1,
        **more: Any,
    ) -> None:
        benchmark.group = case
        benchmark.extra_info.update(contender=contender, count=count, **more)
        benchmark(function, *arguments)

    return run

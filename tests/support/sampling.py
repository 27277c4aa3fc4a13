"""What a quick run leaves out of the tests that take long. `pytest --whole` runs all of it; CI does."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

T = TypeVar("T")

#: for a test, or a module's tests, of which no part is quick
whole_only = pytest.mark.whole


def sampled(values: Mapping[str, T], in_sample: Callable[[T], bool]) -> list[ParameterSet]:
    """A test's parameters by their names. Those that aren't in the sample are for a whole run only."""
    return [pytest.param(one, id=name, marks=[] if in_sample(one) else [whole_only]) for name, one in values.items()]


def sampled_seeds(seeds: range, sample: int) -> list[ParameterSet]:
    """Seeds, of which those below `sample` are in the sample."""
    return sampled({str(seed): seed for seed in seeds}, lambda seed: seed < sample)

"""How often a run's progress is looked at."""

import pytest

from sdg_operator.controller.observe_datageneration import progress_interval


@pytest.mark.parametrize(("runs", "seconds"), [(0, 10), (1, 10), (200, 10), (400, 20), (2000, 100)])
def test_progress_is_looked_at_less_often_where_many_runs_are_at_work(runs: int, seconds: float) -> None:
    assert progress_interval(10, runs) == seconds

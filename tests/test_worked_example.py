"""Break-even volumes of a worked example, computed apart with the same formulas.

An 8B model on one H100 a replica (24 requests a second after derates), or a 70B model on two (5.7 a second), at
$2.95 a GPU-hour; 1,500 static and 400 dynamic tokens in, 200 out; API input read from the cache at an eighth.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from estimator.assumptions import shipped
from estimator.money import costs
from estimator.money.breakeven import Volumes
from estimator.money.ownership import month_column, totals, with_series
from estimator.money.serving_costs import SERVING_LINES
from estimator.numbers import HOURS_PER_MONTH
from estimator.risk import draw
from tests.test_money import arm, prompting, self_hosted

SHARED = {
    "input_tokens": 1900.0,
    "static_input_fraction": 1500 / 1900,
    "output_tokens": 200.0,
    "retry_ratio": 1.0,
    "monitoring_fraction": 0.0,
    "api_migrations_per_year": 1.0,
    "prompt_engineering_hours": 0.0,
    "serving_build_hours": 0.0,
}
RENTED = {
    "processed_per_useful_token": 1.0,
    "loaded_bytes": 16e9,
    "checkpoint_bytes": 1e8,
    "train_spot_machines": 0.0,
    "train_machines": 1.0,
    "train_tokens_per_s_per_gpu": 5000.0,
    "speed_ratio": 1.0,
    "train_gpus": 1.0,
    "train_gpus_billed": 1.0,
    "train_usd_per_gpu_hour": 2.95,
    "train_price_listed": 1.0,
    "serving_speed_ratio": 1.0,
    "serving_gpus_per_instance": 1.0,
    "serving_usd_per_gpu_hour": 2.95,
    "serving_price_listed": 1.0,
    "moved_gb_per_release": 0.0,
}
SMALL = {
    "requests_per_s_per_replica": 24 / 0.85 / 0.8,
    "serving_gpus_per_replica": 1.0,
    "stored_gb_per_version": 16.0,
}
LARGE = {
    "requests_per_s_per_replica": 5.7 / 0.85 / 0.8,
    "serving_gpus_per_replica": 2.0,
    "stored_gb_per_version": 140.0,
}
CACHED, UNCACHED = {"cache_hit_fraction": 0.6}, {"cache_hit_fraction": 0.0}
DISTILLED = CACHED | {"label_usd_per_row": 0.003, "pilot_engineer_hours": 15.0, "build_engineer_hours": 45.0}

PRICES = ((0.1, 0.5), (0.2, 1.2), (0.75, 4.0), (2.0, 12.0), (5.0, 25.0))
TABLE = (
    ("8B", SMALL, CACHED, (121, 30, 8.6, 3.0, 1.3)),
    ("8B, no caching", SMALL, UNCACHED, (58, 23, 6.3, 2.3, 1.0)),
    ("8B, distilled rows, 60 hours", SMALL, DISTILLED, (80, 24, 6.8, 2.4, 1.0)),
    # At $0.75 / $4 the costs cross at every step of the staircase from 19 to 26 million: no one crossing to test.
    ("70B", LARGE, CACHED, (None, None, "steps", 4.4, 1.9)),
)
CELLS = [
    pytest.param(replica, values, price, expected, id=f"{name}, ${price[0]:g} / ${price[1]:g}")
    for name, replica, values, row in TABLE
    for price, expected in zip(PRICES, row, strict=True)
    if expected != "steps"
]


@pytest.mark.parametrize(("replica", "values", "price", "expected"), CELLS)
def test_a_break_even_of_the_worked_example_is_met(
    replica: dict[str, float], values: dict[str, float], price: tuple[float, float], expected: float | None
) -> None:
    tokens = {
        "input_price": price[0],
        "cached_input_price": price[0] / 8,
        "cache_write_price": price[0],
        "output_price": price[1],
    }
    tokens |= {f"batch_{name}": usd for name, usd in tokens.items()}
    volumes = Volumes(rows=shipped().setting(SHARED | values).rows, seed=0)
    got = volumes.break_even(
        tuned=volumes.curve([arm(self_hosted, RENTED | replica)]),
        rival=volumes.curve([arm(partial(prompting, style="zero-shot"), tokens)]),
    ).lowest_per_day
    million_a_month = None if got is None else got * HOURS_PER_MONTH / 24 / 1e6
    assert million_a_month == (expected if expected is None else pytest.approx(expected, rel=0.055))


def test_parting_the_steps_from_the_straight_lines_changes_no_draw() -> None:
    volumes = Volumes(rows=shipped().rows, seed=3, draws=40)
    whole = arm(self_hosted, RENTED | SMALL)
    parted = replace(
        whole,
        common_lines=costs.tuned_lines,
        stepped_lines=SERVING_LINES["dedicated"],
        other_lines=costs.released_lines,
    )
    here, there = volumes.curve([whole]), volumes.curve([parted])
    assert here.drawn_usd.shape == (len(volumes.coarse), 40)
    assert there.usd == pytest.approx(here.usd, rel=1e-9)
    assert there.drawn_usd == pytest.approx(here.drawn_usd, rel=1e-9)
    # And each is the total of the plan at that volume and draw.
    rows = shipped().setting({"requests_per_day": float(volumes.coarse[20])}).rows
    x = with_series(draw(rows, draws=40, seed=3), month_column(12.0))
    own = {row.name: row.base for row in whole.parameters}
    assert totals(spec=whole, shared=x, own=own).usd == pytest.approx(here.drawn_usd[20], rel=1e-9)

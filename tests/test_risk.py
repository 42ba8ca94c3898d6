"""Assumptions and their draws."""

from pathlib import Path

import numpy as np
import pytest

from estimator.assumptions import Assumption, Assumptions, Shape, _row, shipped
from estimator.correlations import correlations, read_correlations
from estimator.errors import InputError, UnknownNameError
from estimator.risk import Z_P90, at_score, draw, percentiles


def row(shape: Shape, low: float, base: float, high: float) -> Assumption:
    return Assumption(
        name="x",
        label="x",
        base=base,
        low=low,
        high=high,
        unit="",
        status="guess",
        source="",
        checked="2026-11-21",
        shape=shape,
    )


@pytest.mark.parametrize(
    "case", [row("normal", 0.0, 1.0, 5.0), row("lognormal", 0.1, 1.2, 5.0), row("logitnormal", 0.1, 0.5, 0.9)]
)
def test_low_base_and_high_are_the_tenth_fiftieth_and_ninetieth_percentile(case: Assumption) -> None:
    assert at_score(case, np.array([-Z_P90, 0.0, Z_P90])) == pytest.approx([case.low, case.base, case.high])
    drawn = draw([case], draws=4001, seed=7)["x"]
    assert percentiles(drawn, (0.1, 0.5, 0.9)) == pytest.approx(
        (case.low, case.base, case.high), rel=0.02, abs=0.01
    )


def test_an_assumption_keeps_its_draws_when_others_come_and_go() -> None:
    rows = list(shipped().rows)
    everything = draw(rows, draws=64, seed=3)
    alone = draw([shipped().row("engineer_usd_per_hour")], draws=64, seed=3)
    assert np.array_equal(everything["engineer_usd_per_hour"], alone["engineer_usd_per_hour"])
    other = draw(rows, draws=64, seed=4)["engineer_usd_per_hour"]
    assert not np.array_equal(other, alone["engineer_usd_per_hour"])


def test_a_value_that_the_user_sets_is_certain() -> None:
    mine = shipped().setting({"label_usd_per_row": 0.5})
    assert mine.row("label_usd_per_row").status == "user"
    assert float(draw([mine.row("label_usd_per_row")], draws=8, seed=0)["label_usd_per_row"]) == 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, 1e13])
def test_rows_outside_their_range_are_refused_with_the_range(value: float) -> None:
    with pytest.raises(InputError, match=r"rows = .* is outside 1 to 1e\+12"):
        shipped().setting({"rows": value})


def test_an_unknown_assumption_gets_its_closest_names() -> None:
    with pytest.raises(UnknownNameError, match="engineer_usd_per_hour"):
        shipped().setting({"enginer_usd_per_hour": 100.0})


def test_every_row_has_a_source_and_a_day() -> None:
    rows = shipped().rows
    assert len(rows) > 60
    for one in rows:
        assert one.source, one.name
        assert one.checked >= "2026-01-01", one.name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 5.0}, "low <= base <= high"),
        ({"shape": "lognormal", "low": 0.0}, "log scale"),
        ({"status": "certain"}, "unknown status"),
        ({"colour": "red"}, "unknown key"),
        ({"source": None}, "lacks 'source'"),
    ],
)
def test_a_broken_row_is_refused_by_file_and_name(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {
        "label": "x",
        "base": 1.0,
        "unit": "USD",
        "status": "guess",
        "source": "guess",
        "checked": "2026-11-21",
    }
    fields = {key: value for key, value in (fields | change).items() if value is not None}
    with pytest.raises(InputError, match=message) as error:
        _row("thing", fields, "economics.toml")
    assert "economics.toml: [thing]" in str(error.value)


def test_the_registry_is_a_mapping_of_base_values() -> None:
    mine = Assumptions({"x": row("normal", 0.0, 1.0, 2.0)})
    assert dict(mine) == {"x": 1.0}


def test_draws_are_correlated_as_listed_and_not_otherwise() -> None:
    drawn = {name: value[0] for name, value in draw(shipped().rows, draws=8192, seed=0).items() if np.ndim(value)}
    names = list(drawn)
    assert len(names) > 30
    correlation = np.corrcoef([np.argsort(np.argsort(value)) for value in drawn.values()])
    np.fill_diagonal(correlation, 0.0)
    for pair in correlations().values():
        place = names.index(pair.follower), names.index(pair.leader)
        assert correlation[place] == pytest.approx(pair.correlation, abs=0.04)
    families = {name: correlations()[name].leader if name in correlations() else name for name in names}
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            if families[one] != families[other]:
                assert abs(correlation[i, j]) < 0.06, (one, other)


def test_a_follower_keeps_its_own_range() -> None:
    row = shipped().row("retrain_engineer_hours")
    drawn = draw([row], draws=4001, seed=1)[row.name]
    assert percentiles(drawn, (0.1, 0.5, 0.9)) == pytest.approx((row.low, row.base, row.high), rel=0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('follower = "rowz"', "unknown assumption"),
        ("correlation = 1.0", "outside -1 to 1"),
        ('leader = "epochs"', "follows itself"),
        ('colour = "red"', "unknown key"),
    ],
)
def test_a_broken_pair_is_refused_by_file_and_place(tmp_path: Path, text: str, message: str) -> None:
    good = {
        "follower": '"epochs"',
        "leader": '"rows"',
        "correlation": "0.5",
        "status": '"guess"',
        "source": '"guess"',
        "checked": '"2026-11-21"',
    }
    key, _, value = text.partition(" = ")
    path = tmp_path / "pairs.toml"
    path.write_text("[[pair]]\n" + "\n".join(f"{k} = {v}" for k, v in (good | {key: value}).items()))
    with pytest.raises(InputError, match=message) as error:
        read_correlations(path)
    assert "pairs.toml: " in str(error.value)

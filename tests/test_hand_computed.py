"""One small plan worked out by hand: every line of every kind of arm, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from estimator.assumptions import shipped
from estimator.money import costs
from estimator.money.lines import Line, Parameters
from estimator.money.ownership import base_lines, month_column, totals, with_series
from estimator.money.series import SERIES
from tests.test_money import arm, prompting, self_hosted

PLAN = {
    # 2,400 requests a day x 730 / 24 days = 73,000 a month, for three months.
    "requests_per_day": 2400.0,
    "horizon_months": 3.0,
    "traffic_growth_fraction_per_year": 0.0,
    "input_tokens": 1000.0,
    "static_input_fraction": 0.5,
    "output_tokens": 200.0,
    "few_shot_tokens": 1500.0,
    "cache_hit_fraction": 0.75,
    "cache_minimum_tokens": 1024.0,
    "api_batch_fraction": 0.0,
    "retry_ratio": 1.0,
    "prompt_saving_fraction": 0.4,
    # Six moves a year: the one within the horizon falls into month 3 and halves the price, 0.015625 = 1 / 2^6.
    "api_migrations_per_year": 6.0,
    "api_migration_price_fraction": 0.015625,
    "migration_hours": 8.0,
    # One in a hundred requests judged: 730 a month.
    "monitoring_fraction": 0.01,
    "judge_usd_per_request": 0.02,
    "engineer_usd_per_hour": 100.0,
    "prompt_engineering_hours": 10.0,
    "api_ops_hours_per_month": 2.0,
    "self_host_ops_hours_per_month": 12.0,
    "pilot_engineer_hours": 5.0,
    "build_engineer_hours": 20.0,
    "serving_build_hours": 10.0,
    "retrain_engineer_hours": 4.0,
    "evaluation_rows": 100.0,
    "evaluation_runs": 2.0,
    "review_usd_per_row": 1.5,
    # Each accepted row is paid 1 / (1 - 0.2) = 1.25 times.
    "rows": 1000.0,
    "pilot_rows": 250.0,
    "label_usd_per_row": 0.8,
    "label_reject_fraction": 0.2,
    "cleanup_usd": 500.0,
    # Two of four epochs are run: 1,000 rows are 1,000,000 tokens.
    "tokens_per_row": 500.0,
    "seq_len": 2048.0,
    "epochs": 4.0,
    "early_stopping_fraction": 0.5,
    "experiments": 4.0,
    "experiment_fraction": 0.25,
    "retrain_experiments": 1.0,
    # A fifth is lost: a quarter on top of what is useful.
    "failed_run_fraction": 0.2,
    # In months 1 and 2, not in the last.
    "retrain_every_months": 1.0,
    "new_rows_fraction_per_month": 0.1,
    # A run: 400 + 126 s to start, 10 s to load, 4 checkpoints in 4 s, 4 x 50,000 tokens of validation in 60 s,
    # so 600 s, and 1.2 s a row at 1,000 tokens/s.
    "job_start_s": 400.0,
    "job_warm_up_s": 126.0,
    "storage_read_bytes_per_s": 1e9,
    "storage_write_bytes_per_s": 5e8,
    "checkpoints_per_epoch": 2.0,
    "evaluation_forward_fraction": 0.3,
    "spot_interruptions_per_hour": 0.0,
    "most_lost_fraction": 0.9,
    "gpu_price_ratio": 1.0,
    "gpu_price_change_fraction_per_year": 0.0,
    # 73,000 a month are 1 / 36 a second, at the peak 1 / 12; a replica bears 0.05 x 0.8 x 0.75 = 0.03: three.
    "peak_to_mean_ratio": 3.0,
    "slo_throughput_fraction": 0.8,
    "max_load_fraction": 0.75,
    "minimum_replicas": 2.0,
    "staging_replicas": 0.5,
    "cloud_overhead_ratio": 1.2,
    "versions_kept": 3.0,
    "storage_usd_per_gb_month": 0.5,
    "egress_usd_per_gb": 0.1,
    # Logs of 73,000 x 1,200 tokens are 0.876 GB a month; in storage lie those of 1, 2 and 2 months.
    "text_bytes_per_token": 10.0,
    "log_retention_months": 2.0,
    "contingency_fraction": 0.0,
}
API = {
    "input_price": 2.0,
    "cached_input_price": 0.2,
    "cache_write_price": 2.4,
    "output_price": 10.0,
    "batch_input_price": 1.0,
    "batch_cached_input_price": 0.1,
    "batch_cache_write_price": 1.2,
    "batch_output_price": 5.0,
}
HOSTED = {
    "train_price": 8.0,
    "train_minimum_usd": 3.0,
    "input_price": 3.0,
    "cached_input_price": 3.0,
    "cache_write_price": 3.0,
    "output_price": 12.0,
    "batch_input_price": 3.0,
    "batch_cached_input_price": 3.0,
    "batch_cache_write_price": 3.0,
    "batch_output_price": 12.0,
    "hosting_usd_per_hour": 1.7,
}
RENTED = {
    "train_tokens_per_s_per_gpu": 250.0,
    "speed_ratio": 1.0,
    "train_gpus": 4.0,
    "train_gpus_billed": 8.0,
    "train_usd_per_gpu_hour": 2.0,
    "train_price_listed": 1.0,
    "train_spot_machines": 0.0,
    "train_machines": 1.0,
    "processed_per_useful_token": 1.2,
    "loaded_bytes": 1e10,
    "checkpoint_bytes": 5e8,
    "requests_per_s_per_replica": 0.05,
    "serving_speed_ratio": 1.0,
    "serving_gpus_per_replica": 2.0,
    "serving_gpus_per_instance": 4.0,
    "serving_usd_per_gpu_hour": 1.5,
    "serving_price_listed": 1.0,
    "stored_gb_per_version": 10.0,
    "moved_gb_per_release": 20.0,
}

PROMPTED = {
    "prompt work": 1000.00,  # 10 h x 100
    "held-out rows judged": 300.00,  # 100 x 2 x 1.50
    "moves to a newer API model": 800.00,  # 8 h x 100, in month 3
    "held-out rows judged at a move": 300.00,  # 100 x 2 x 1.50
    "requests judged in production": 43.80,  # 730 x 0.02 x 3
    "operations and on-call": 600.00,  # 2 h x 100 x 3
    "request logs stored": 2.19,  # 0.876 GB x (1 + 2 + 2) x 0.50
    "output tokens": 365.00,  # 14.6 million x 10 = 146.00; 146.00 + 146.00 + 73.00
}
ZERO_SHOT = PROMPTED | {
    "input tokens": 365.00,  # 73 million x 2 = 146.00; 500 static tokens are too few to cache
    "input tokens written to the prompt cache": 0.00,
    "input tokens read from the prompt cache": 0.00,
}
FEW_SHOT = PROMPTED | {
    "input tokens": 182.50,  # 36.5 million x 2 = 73.00; 73.00 + 73.00 + 36.50
    "input tokens written to the prompt cache": 219.00,  # 2,000 x 0.25: 36.5 million x 2.40 = 87.60; x 2.5
    "input tokens read from the prompt cache": 54.75,  # 2,000 x 0.75: 109.5 million x 0.20 = 21.90; x 2.5
}
TUNED = {
    "request logs stored": 2.19,  # 0.876 GB x (1 + 2 + 2) x 0.50
    "training rows stored": 0.009,  # 550,000 + 600,000 + 650,000 tokens of 10 bytes are 0.018 GB x 0.50
    "rows of the pilot labelled": 200.00,  # 250 x 0.80
    "rejected rows of the pilot done again": 50.00,  # 62.5 x 0.80
    "held-out rows judged after the pilot": 150.00,  # 100 x 1.50
    "further rows labelled": 600.00,  # 750 x 0.80
    "rejected rows done again": 150.00,  # 187.5 x 0.80
    "clean-up": 500.00,
    "held-out rows judged": 900.00,  # 300.00 before the release, 300.00 at each of two retrains
    "engineer hours of the pilot": 500.00,  # 5 h x 100
    "engineer hours from pilot to production": 2000.00,  # 20 h x 100
    "new rows labelled": 200.00,  # 100 x 1.25 x 0.80, twice
    "engineer hours of retrains": 800.00,  # 4 h x 100, twice
    "requests judged in production": 43.80,  # 730 x 0.02 x 3
}
HOSTED_TUNING = TUNED | {
    "pilot run": 3.00,  # 0.25 million tokens x 8 = 2.00, below the least charge
    "experiments": 12.00,  # 0.25 million tokens each: four least charges
    "production run": 8.00,  # 1 million x 8
    "failed and repeated runs": 5.75,  # (3 + 12 + 8) / 4
    "runs and experiments of retrains": 30.50,  # (1.1 x 8 + 3) / 0.8 = 14.75; (1.2 x 8 + 3) / 0.8 = 15.75
    "input tokens": 525.60,  # 500 x 0.6 + 500 = 800: 58.4 million x 3 = 175.20 a month
    "input tokens written to the prompt cache": 0.00,
    "input tokens read from the prompt cache": 0.00,
    "output tokens": 525.60,  # 14.6 million x 12 = 175.20 a month
    "hosting fee": 3723.00,  # 730 h x 1.70 = 1,241.00 a month
    "operations and on-call": 600.00,  # 2 h x 100 x 3
}
SELF_HOSTED = TUNED | {
    "pilot run": 4.00,  # 600 + 300 = 900 s on 8 cards x 2
    "experiments": 16.00,  # 900 s each, four
    "production run": 8.00,  # 600 + 1,200 = 1,800 s on 8 cards x 2
    "failed and repeated runs": 7.00,  # (4 + 16 + 8) / 4
    # 1,100 rows 1,920 s, 275 rows 930 s, together / 0.8 = 3,562.5 s; 1,200 and 300 rows 3,750 s; 8 cards x 2
    "runs and experiments of retrains": 32.50,
    "GPU-hours of replicas": 35478.00,  # six cards in whole fours are 8, and 1 for staging: 6,570 h x 1.80
    "weights and checkpoints stored": 45.00,  # 10 GB x 3 x 0.50 x 3
    "trained weights moved to serving": 2.00,  # 20 GB x 0.10
    "retrained weights moved to serving": 4.00,  # 20 GB x 0.10, twice
    "standing up serving": 1000.00,  # 10 h x 100
    "operations and on-call": 3600.00,  # 12 h x 100 x 3
}


@pytest.mark.parametrize(
    ("written", "prices", "expected", "total"),
    [
        (partial(prompting, style="zero-shot"), API, ZERO_SHOT, 3775.99),
        (partial(prompting, style="few-shot"), API, FEW_SHOT, 3867.24),
        (costs.hosted_lines, HOSTED, HOSTED_TUNING, 11529.449),
        (self_hosted, RENTED, SELF_HOSTED, 46292.499),
    ],
    ids=["zero-shot", "few-shot with caching", "hosted tuning", "self-hosted tuning"],
)
def test_every_line_is_what_a_hand_computes(
    written: Callable[[Parameters], list[Line]],
    prices: dict[str, float],
    expected: dict[str, float],
    total: float,
) -> None:
    values = dict(shipped().setting(PLAN))
    spec = arm(written, prices)
    found: dict[str, float] = {}
    for line in base_lines(spec=spec, values=values):
        assert {*line.parameters} <= {*PLAN, *prices, *SERIES, "month"}, "a default would decide a part of it"
        found[line.name] = found.get(line.name, 0.0) + line.total_usd
    assert found == pytest.approx(expected, abs=0.005)
    assert sum(expected.values()) == pytest.approx(total, abs=0.001)
    drawn = totals(spec=spec, shared=with_series(values, month_column(3.0)), own=prices)
    assert float(drawn.usd[0]) == pytest.approx(total, abs=0.005)

"""How many training candidates a second one core searches: memory, speed and price of each.

Run: python benchmarks/search_rate.py
"""

from __future__ import annotations

import time

from estimator.models import resolve_model
from estimator.scenario import Scenario, workload
from estimator.search.market import market
from estimator.search.training import search
from pricing import newest_price_day

REPEATS = 20


def main() -> None:
    """Print candidates per second, best of the repeats, for the default search of a 7B and a 70B model."""
    for model in ("7b", "70b"):
        scenario = Scenario(model=model, marketplaces=True, as_of=newest_price_day())
        architecture = resolve_model(model).architecture
        work = workload(scenario=scenario)
        offers = market(scenario=scenario)
        best, candidates = float("inf"), 0
        for _ in range(REPEATS):
            start = time.process_time()
            found = search(scenario=scenario, architecture=architecture, workload=work, market=offers)
            best = min(best, time.process_time() - start)
            candidates = found.candidates
        print(f"{model}: {candidates:,} candidates in {1000 * best:.1f} ms = {candidates / best:,.0f} a second")


if __name__ == "__main__":
    main()

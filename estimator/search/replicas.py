"""Replica types for self-hosting one model: what each delivers, and which is cheapest under a load."""

from __future__ import annotations

from collections.abc import Sequence

from estimator.architecture import Architecture
from estimator.parameters import total_parameters
from estimator.scenario import Scenario
from estimator.search.market import Market, cpu_market
from estimator.search.pool import Pool, ServingChoice, with_responses

__all__ = ["ReplicaTypes", "ServingChoice"]

MS_PER_S = 1000.0


class ReplicaTypes:
    """Every card of a market x cards per replica x weights' type, for one model and one kind of request.

    Small models are also tried on machines without accelerators.
    """

    def __init__(
        self,
        *,
        architecture: Architecture,
        scenario: Scenario,
        market: Market | None,
        input_tokens: float,
        adapters: int = 0,
    ) -> None:
        values = scenario.assumptions
        small = total_parameters(architecture=architecture) <= values["cpu_most_parameters"]
        beside = cpu_market(scenario=scenario) if small else None
        self.values = values
        self.pools = [
            Pool(
                architecture=architecture,
                market=sellers,
                values=values,
                input_tokens=input_tokens,
                engine=scenario.engine,
                dtype=scenario.served_dtype,
                adapters=adapters,
                processors=sellers is beside,
                latency_s_per_token=None if scenario.latency_ms is None else scenario.latency_ms / MS_PER_S,
                ttft_s=None if scenario.ttft_ms is None else scenario.ttft_ms / MS_PER_S,
            )
            for sellers in (None if scenario.cpu == "only" else market, beside)
            if sellers is not None
        ]

    def by_gpu(self, *, requests_per_day: float) -> tuple[ServingChoice, ...]:
        """The cheapest replica type of each card that can hold the model; cheapest card first."""
        found = [choice for pool in self.pools for choice in pool.by_gpu(requests_per_day=requests_per_day)]
        found.sort(key=lambda choice: (choice.usd_per_hour, choice.option.gpus_per_replica))
        return with_responses(found, [requests_per_day] * len(found), self.values)

    def cheapest(self, *, requests_per_day: float) -> ServingChoice | None:
        """The replica type that is cheapest at this load."""
        return next(
            iter(with_responses(self.candidates([requests_per_day]), [requests_per_day], self.values)), None
        )

    def candidates(self, requests_per_day: Sequence[float]) -> tuple[ServingChoice, ...]:
        """The replica types that are cheapest at one of these loads, each once; without what requests meet."""
        found: dict[tuple[object, ...], ServingChoice] = {}
        for load in requests_per_day:
            offered = [choice for pool in self.pools if (choice := pool.cheapest(requests_per_day=load))]
            if offered:
                best = min(offered, key=lambda choice: choice.usd_per_hour)
                found.setdefault(best.key, best)
        return tuple(found.values())

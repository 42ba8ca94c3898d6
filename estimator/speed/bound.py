"""What a step's time is bound by: its parts gathered by the resource they wait for."""

from __future__ import annotations

from collections.abc import Mapping

from estimator.numbers import Number

#: The resource that each part of a step waits for.
RESOURCE = {
    "matrix products": "arithmetic",
    "expert products": "arithmetic",
    "attention": "arithmetic",
    "vocabulary": "arithmetic",
    "element-wise": "memory bandwidth",
    "casts": "memory bandwidth",
    "adapters": "memory bandwidth",
    "dequantisation": "memory bandwidth",
    "gradient accumulation": "memory bandwidth",
    "optimizer": "memory bandwidth",
    "kernel launch": "host",
    "offload": "host",
    "sharding": "links",
    "tensor parallel": "links",
    "context parallel": "links",
    "expert parallel": "links",
    "gradient synchronisation": "links",
    "pipeline bubble": "waiting",
    "stragglers": "waiting",
}


def resource_fractions(*, parts_s: Mapping[str, Number]) -> dict[str, Number]:
    """Share of the step that waits for each resource; the largest is what bounds it. They sum to 1.

    >>> resource_fractions(parts_s={"matrix products": 3.0, "sharding": 1.0})
    {'arithmetic': 0.75, 'links': 0.25}
    """
    total: Number = sum(parts_s.values(), start=0.0)
    shares: dict[str, Number] = {}
    for name, seconds in parts_s.items():
        resource = RESOURCE[name]
        shares[resource] = shares.get(resource, 0.0) + seconds / total
    return shares

"""How long requests wait for a slot at a load: an Erlang C estimate for replicas that batch."""

from __future__ import annotations

import numpy as np

from estimator.numbers import Number


def erlang_c(*, servers: float, offered_load: Number) -> Number:
    """Chance that an arrival must wait, M/M/c: Erlang's C formula; 1 where the load reaches the servers.

    ``offered_load`` is the arrival rate times the mean service time, in erlangs. By the recursion of the
    blocking chance B(n) = a B(n-1) / (n + a B(n-1)) and C = B / (1 - rho (1 - B)). Source: Erlang 1917.

    >>> round(float(erlang_c(servers=2, offered_load=1.0)), 4)
    0.3333
    """
    load = np.asarray(offered_load, dtype=np.float64)
    blocking = np.ones_like(load)
    for n in range(1, int(servers) + 1):
        blocking = load * blocking / (n + load * blocking)
    rho = load / servers
    waiting = blocking / (1.0 - np.minimum(rho, 1.0) * (1.0 - blocking))
    return np.where(rho >= 1.0, 1.0, waiting)

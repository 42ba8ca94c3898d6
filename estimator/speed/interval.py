"""How far a measured throughput may lie from the prediction."""

from __future__ import annotations

from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.constants import Constants


def throughput_factors(*, run: Run, constants: Constants) -> tuple[Number, Number]:
    """P10 and P90 of measured over predicted tokens/s.

    Sources that a fit had not seen scatter by the stack's factor; an accelerator family without fitted rows
    widens it further. Source: errors on calibration rows of projects left out of the fit.
    """
    card = run.accelerator
    stack_low = constants.of_stack("throughput_low_factor", run.stack)
    stack_high = constants.of_stack("throughput_high_factor", run.stack)
    widening = constants.own_of_family("interval_widening_exponent", card.family, card.power_watt)
    return stack_low**widening, stack_high**widening

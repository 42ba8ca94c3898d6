"""The errors of the estimator; those about input are shared with the price tables."""

from pricing.errors import InputError, UnknownNameError, close_matches, separator_hint

__all__ = ["InputError", "NothingFitsError", "UnknownNameError", "close_matches", "separator_hint"]


class NothingFitsError(Exception):
    """A valid question whose answer is "nothing fits"; says what comes nearest and what to change."""

"""Numbers as people read them, the same in advice, tables and charts."""

from __future__ import annotations


def money(usd: float) -> str:
    """Dollars with three significant digits.

    >>> money(950), money(-12345), money(4.56e6), money(1.5)
    ('$950', '-$12.3k', '$4.56M', '$1.50')
    """
    if usd < 0:
        return f"-{money(-usd)}"
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(usd) >= 0.9995 * size:
            return f"${usd / size:.3g}{suffix}"
    return f"${usd:.2f}" if 0 < abs(usd) < 10 else f"${usd:.0f}"


def percent(fraction: float) -> str:
    """A fraction for people; what is neither none nor all does not read as such.

    >>> percent(0.123), percent(0.0), percent(0.002), percent(0.998)
    ('12 %', '0 %', '<1 %', '>99 %')
    """
    if 0 < fraction < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= fraction < 1 else f"{100 * fraction:.0f} %"


def count(number: float) -> str:
    """A count with three significant digits: 950, 12,300, 4.56 million.

    >>> count(12345), count(2.4e9), count(0.5)
    ('12,300', '2.4 billion', '0.5')
    """
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(number) >= 0.9995 * size:
            return f"{number / size:.3g} {name}"
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.0f}" if rounded == round(rounded) else f"{rounded:g}"


def counted(number: float, noun: str) -> str:
    """A number with its noun, in the plural unless it is one; without decimals from a thousand on.

    >>> counted(1, "month"), counted(1234.25, "row"), counted(0.5, "hour")
    ('1 month', '1,234 rows', '0.5 hours')
    """
    shown = round(number) if abs(number) >= 1000 else number
    return f"{shown:,.10g} {noun}{'' if number == 1 else 's'}"


def every(days: float) -> str:
    """How often something happens, for people.

    >>> every(1.0), every(7.0)
    ('every day', 'every 7 days')
    """
    return "every day" if days == 1 else f"every {days:g} days"


def interval(months: float, *, days_per_month: float) -> str:
    """Time between two things, for people: in days below a month.

    >>> interval(4.0, days_per_month=30.4), interval(0.25, days_per_month=30.4)
    ('4 months', '7.6 days')
    """
    if months >= 1:
        return "month" if months == 1 else f"{months:.2g} months"
    days = months * days_per_month
    return "day" if round(days) <= 1 else f"{days:.2g} days"


def seconds(value: float) -> str:
    """A time in few characters: milliseconds below a second.

    >>> seconds(0.0123), seconds(0.25), seconds(2.34), seconds(250.0)
    ('12 ms', '250 ms', '2.3 s', '250 s')
    """
    if value < 1.0:
        return f"{1000.0 * value:.2g} ms" if value < 0.0995 else f"{1000.0 * value:.0f} ms"
    return f"{value:.2g} s" if value < 99.5 else f"{value:,.0f} s"

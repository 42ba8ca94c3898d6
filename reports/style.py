"""How numbers and concepts look in every report: one format per kind of number, one colour per concept."""

from __future__ import annotations

from estimator.numbers import GIB
from estimator.result import GROUPS, Arm, ArmKind, Plan, TrainingOption
from estimator.words import count, money

INK = "#1f2430"
SOFT = "#5b6472"
FAINT = "#c9ced6"
PAPER = "#ffffff"
WASH = "#f3f5f8"
GRID = "#e4e7ec"
OTHER = "#dddddd"
ALERT = "#a50026"

KIND_COLOURS: dict[ArmKind, str] = {
    "api": "#0077bb",
    "ready-made": "#009988",
    "hosted": "#ee7733",
    "self-hosted": "#aa3377",
}
KIND_TEXT_COLOURS: dict[ArmKind, str] = {
    "api": "#006dab",
    "ready-made": "#00776a",
    "hosted": "#b34a0c",
    "self-hosted": "#aa3377",
}
"""The same hues for words, which need more contrast than lines and bars: 4.5 and more on paper and wash."""
KIND_LABELS: dict[ArmKind, str] = {
    "api": "API model",
    "ready-made": "open model as it is",
    "hosted": "hosted tuning",
    "self-hosted": "tuned and self-hosted",
}

GROUP_COLOURS: dict[str, str] = dict(
    zip(
        GROUPS,
        (
            "#ddcc77",
            "#999933",
            "#88ccee",
            "#332288",
            "#aa4499",
            "#cc6677",
            "#44aa99",
            "#a9adb5",
            "#117733",
        ),
        strict=True,
    )
)
"""Paul Tol's muted scheme: nine colours that stay apart for the common kinds of colour blindness."""

PART_COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#999933",
    "#004488",
    "#ddaa33",
    "#bb5566",
    "#009988",
    "#ee7733",
    "#882255",
    "#332288",
)
"""For the parts of memory and of time, in the order in which a plan names them."""

RESOURCE_COLOURS: dict[str, str] = {
    "arithmetic": "#4477aa",
    "memory bandwidth": "#ee7733",
    "host": "#aa3377",
    "links": "#228833",
    "waiting": "#ccbb44",
}
"""For what the time of a step waits for."""

RISE = "#bb5566"
FALL = "#004488"


def dollars(usd: float) -> str:
    """A price: two decimals, more where it is small, three digits where it is large.

    >>> dollars(2.9), dollars(0.023), dollars(12345.6)
    ('$2.90', '$0.023', '$12.3k')
    """
    if abs(usd) >= 1e4:
        return money(usd)
    return f"${usd:,.2f}" if abs(usd) >= 0.1 or usd == 0 else f"${usd:.3g}"


def gib(amount_bytes: float) -> str:
    """Memory for people.

    >>> gib(80 * 2**30), gib(0.5 * 2**30)
    ('80.0 GiB', '0.50 GiB')
    """
    size = amount_bytes / GIB
    return f"{size:,.1f} GiB" if size >= 1 else f"{size:.2f} GiB"


def duration(hours: float) -> str:
    """Hours for people: minutes below one, days above 100.

    >>> duration(0.25), duration(3.14), duration(240)
    ('15 min', '3.1 h', '10.0 days')
    """
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours / 24:,.1f} days"


def quantity(value: float) -> str:
    """An assumption's value.

    >>> quantity(1e7), quantity(0.15), quantity(10000), quantity(2.1e9)
    ('10,000,000', '0.15', '10,000', '2.1 billion')
    """
    if 1e8 <= abs(value) < 1e15:
        return count(value)
    if value == 0 or 1e-3 <= abs(value) < 1e8:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:.3g}"


def shortened(text: str, limit: int) -> str:
    """The text, with its middle left out where it is too long: both ends of a name tell things apart.

    >>> shortened("provider/a-very-long-model-name, few-shot", 27)
    'provider/a-v...me, few-shot'
    """
    if len(text) <= limit:
        return text
    head = (limit - 3) // 2
    return f"{text[:head]}...{text[len(text) - (limit - 3 - head) :]}"


def arm_notes(arm: Arm) -> tuple[str, ...]:
    """What is to be known of an arm; the notes of a hosted service are those of its price list."""
    return (f"billed: {'; '.join(arm.notes)}",) if arm.kind == "hosted" and arm.notes else arm.notes


def cards(option: TrainingOption) -> str:
    """The cards of a run, and how many are paid for where an instance has more."""
    billed = f" of {option.gpus_billed} billed" if option.gpus_billed != option.gpus else ""
    return f"{option.gpus} × {option.gpu_label}{billed}"


def rented_from(option: TrainingOption) -> str:
    """The provider, and its region where the price is that of one."""
    anywhere = option.region in (option.provider, "global")
    return option.provider if anywhere else f"{option.provider} {option.region}"


def units(unit: str, number: float) -> str:
    """The unit of a cost line behind a number: in the plural unless it is one, and none for what is paid once.

    >>> units("hour", 24.0), units("GPU-hour", 1.0), units("GB-month", 3.0), units("million tokens", 2.0)
    ('hours', 'GPU-hour', 'GB-months', 'million tokens')
    """
    if unit == "once":
        return ""
    return unit if number == 1 or unit.endswith(("s", "GB")) else f"{unit}s"


def short_label(arm: Arm) -> str:
    """The arm's label without the provider of an API model."""
    return arm.label.split("/", 1)[-1] if arm.kind == "api" else arm.label


def stamp(plan: Plan) -> str:
    """What every report carries: program version, scenario, price dates and seed."""
    seen = sorted(price.seen for price in plan.prices)
    dates = f" (seen {seen[0].isoformat()} to {seen[-1].isoformat()})" if seen else ""
    return (
        f"ftcost {plan.version} · scenario {plan.scenario_hash} · prices as of"
        f" {plan.scenario.as_of.isoformat()}{dates} · seed {plan.scenario.seed}"
    )

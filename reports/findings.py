"""Titles that state what a page or a chart shows, from the numbers of the plan."""

from __future__ import annotations

from estimator.accuracy import NOTHING, accuracies
from estimator.money.api_arms import ANNOUNCED
from estimator.money.arms import METHOD_LABELS
from estimator.money.load_curve import AUTOSCALED
from estimator.money.owned import BOUGHT_NOTE
from estimator.money.series import DAYS_PER_MONTH
from estimator.result import Arm, Plan, TrainingOption
from estimator.words import count, counted, money, percent
from reports.style import duration, gib, shortened


def cheapest(plan: Plan) -> Arm:
    """The arm with the lowest cost at the base values."""
    return min(plan.arms, key=lambda arm: (arm.total_usd.base, arm.id))


def horizon(plan: Plan) -> int:
    """Months of the plan, as laid out."""
    return len(plan.arms[0].monthly_usd) - 1


def answer(plan: Plan) -> str:
    """The headline."""
    return plan.verdict.headline


def first_step(plan: Plan) -> str:
    """The advice that comes first."""
    return plan.advice[0].text.rstrip(".") if plan.advice else "No rule of advice fired"


def over_time(plan: Plan) -> str:
    """Who is cheapest at the end, and by how much."""
    first = cheapest(plan)
    others = sorted((arm for arm in plan.arms if arm.id != first.id), key=lambda arm: arm.total_usd.base)
    amount = f"{money(first.total_usd.base)} over {months_text(horizon(plan))}"
    if not others:
        return f"{named(first)} costs {amount}, {money(first.build_usd)} of it before the first month"
    start = f"At the base values {named(first)} costs least: {amount}"
    return f"{start}; next is {named(others[0])} at {money(others[0].total_usd.base)}"


def where_it_goes(plan: Plan) -> str:
    """The largest group of the arm that is advised, and of the best tuned one."""
    arm = plan.arm(plan.verdict.arm)
    text = f"Largest cost of {named(arm)}: {_largest_group(arm)}"
    if plan.best_tuned and plan.best_tuned != arm.id:
        tuned = plan.arm(plan.best_tuned)
        text += f"; of {named(tuned)}: {_largest_group(tuned)}"
    return text


def sentence(text: str) -> str:
    """The text with a capital at its start, unless it starts with a name such as provider/model.

    >>> sentence("tuning pays from 100 requests a day"), sentence("google/gemini is cheapest")
    ('Tuning pays from 100 requests a day', 'google/gemini is cheapest')
    """
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text


def named(arm: Arm) -> str:
    """The arm's name, short enough for a title."""
    return shortened(arm.label, 44)


def _largest_group(arm: Arm) -> str:
    group = max(arm.groups_usd, key=lambda name: arm.groups_usd[name])
    return f"{group}, {percent(arm.groups_usd[group] / max(arm.total_usd.base, 1e-9))}"


def training(plan: Plan) -> str:
    """The run that is cheapest to make, with its memory, time and price."""
    if not plan.training_options:
        return "No training run of one's own is part of this plan"
    option = cheapest_run(plan)
    cards = f"{option.gpus} × {option.gpu_label}"
    return (
        f"One production run ({METHOD_LABELS[option.method]}) fits on {cards}, takes {duration(option.hours.base)}"
        f" and costs {money(option.usd.base)}; it needs {gib(option.allocated_bytes)} of the"
        f" {gib(option.limit_bytes)} that a card offers"
    )


def steps(plan: Plan) -> str:
    """Optimizer steps of a run."""
    number = plan.workload.optimizer_steps
    return "1 optimizer step" if number == 1 else f"{count(number)} optimizer steps"


def cheapest_run(plan: Plan) -> TrainingOption:
    """The training option with the lowest price of a run."""
    return min(plan.training_options, key=lambda option: option.usd.base)


def hangs_on(plan: Plan) -> str:
    """The assumption that moves the answer most, and how sure the answer is."""
    arm = plan.arm(plan.verdict.arm)
    if len(plan.arms) == 1:
        return f"{named(arm)} is the only way considered: nothing to compare it with"
    sure = f"{named(arm)} is cheapest in {percent(arm.probability_cheapest)} of the draws"
    if not plan.sensitivities:
        return sure
    first = plan.sensitivities[0]
    return f"The answer hangs most on {first.label}: it moves the difference by {money(first.swing_usd)}. {sure}"


def assumptions(plan: Plan) -> str:
    """How much of the input is a guess."""
    known = plan.scenario.assumptions
    rows = [known.row(item.name) for item in plan.sensitivities if item.name in known]
    if not rows:
        return "What the answer rests on"
    guesses = sum(row.status == "guess" for row in rows)
    leading = rows[0].label
    return (
        f"{guesses} of the {len(rows)} assumptions that move the answer are guesses; replace them with your own"
        f" numbers, {leading} first"
    )


MEASURED = {
    "peak_memory_gib": "Memory at the peak",
    "tokens_per_s_per_gpu": "Training speed",
    "output_tokens_per_s_per_gpu": "Serving speed",
}


def accuracy() -> list[str]:
    """How far predictions were from measured runs that the fit had not seen, at the harshest split of each."""
    held_out = sorted((row for row in accuracies() if row.left_out != NOTHING), key=lambda row: row.p90_error)
    found = []
    for quantity, label in MEASURED.items():
        row = [row for row in held_out if row.quantity == quantity][-1]
        text = (
            f"{label}: within {percent(row.median_error)} in the median and {percent(row.p90_error)} in 90 % of"
            f" {row.runs} measured runs, with {row.left_out} left out of the fit"
        )
        if row.inside_fraction is not None:
            text += f"; {percent(row.inside_fraction)} lie in the 80 % interval"
        found.append(f"{text}.")
    return found


def break_even(plan: Plan) -> list[str]:
    """From what volume on tuning pays, against each rival, in sentences."""
    if not plan.best_tuned:
        return ["No break-even: no way of this plan tunes a model."]
    if not plan.break_evens:
        return ["No break-even: it is counted against API models, and this plan has none."]
    tuned = f"Tuning {plan.model.id}"
    requests = plan.scenario.assumptions["requests_per_day"]
    found = []
    order = [arm.id for arm in sorted(plan.arms, key=lambda arm: arm.total_usd.base)]
    for item in sorted(plan.break_evens, key=lambda item: order.index(item.rival)):
        rival = named(plan.arm(item.rival))
        if item.lowest_per_day is None:
            most = count(item.searched_per_day[1])
            found.append(
                f"{tuned} costs more than {rival} at every volume up to {most} requests a day, and so it does in"
                f" {percent(item.never_probability)} of the draws."
            )
            continue
        if item.lowest_per_day <= item.searched_per_day[0]:
            text = f"{tuned} costs less than {rival} from the first request a day."
        else:
            monthly = count(item.lowest_per_day * DAYS_PER_MONTH)
            text = (
                f"{tuned} starts to cost less than {rival} at {count(item.lowest_per_day)} requests a day,"
                f" {monthly} a month"
            )
            if item.low_per_day is not None:
                high = f"to {count(item.high_per_day)}" if item.high_per_day is not None else "upwards without end"
                median = "never" if item.median_per_day is None else count(item.median_per_day)
                text += f" (median {median}, 10th to 90th percentile: {count(item.low_per_day)} {high})"
            text += f"; the plan has {count(requests)}."
        if item.never_probability > 0:
            text += f" In {percent(item.never_probability)} of the draws it never does."
        found.append(text)
    return found


def ruled_out(plan: Plan) -> list[str]:
    """What was ruled out, alike reasons together."""
    reasons: dict[str, list[str]] = {}
    for row in plan.ruled_out:
        reasons.setdefault(row.reason, []).append(row.what)
    return [f"{'; '.join(whats)}: {reason}" for reason, whats in reasons.items()]


def prices(plan: Plan) -> str:
    """How many prices entered, and how old they are."""
    days = sorted(price.seen for price in plan.prices)
    if not days:
        return f"No price of the tables entered this plan of {plan.scenario.as_of}"
    read = f"read between {days[0]} and {days[-1]}" if days[0] < days[-1] else f"read on {days[0]}"
    return f"The prices used are as of {plan.scenario.as_of}: {counted(len(days), 'price')}, {read}"


def announced(plan: Plan) -> list[str]:
    """Announced price changes of the API models compared, once each."""
    found = {
        f"{arm.label.rsplit(', ', 1)[0]}: {note}": None
        for arm in plan.arms
        for note in arm.notes
        if arm.kind == "api" and note.startswith(ANNOUNCED)
    }
    return list(found)


def autoscaling(plan: Plan) -> list[str]:
    """How the replicas of the best tuned way follow the load, where they do."""
    notes = plan.arm(plan.best_tuned).notes if plan.best_tuned else ()
    return [note for note in notes if note.startswith(AUTOSCALED)]


def bought(plan: Plan) -> list[str]:
    """What is bought for the best tuned way, and what a run on bought cards costs, where they are bought."""
    notes = plan.arm(plan.best_tuned).notes if plan.best_tuned else ()
    found = [note for note in notes if note.startswith(BOUGHT_NOTE)]
    if found:
        found.append(
            "On bought cards the USD of a run is its share of the hours that they are held; totals charge every"
            " hour, at work or not, once for training and serving."
        )
    return found


def whole_experts(plan: Plan) -> list[str]:
    """What Transformers 5 does to the QLoRA runs of a mixture of experts, where any is listed."""
    runs = [option for option in plan.training_options if option.whole_experts_bytes]
    if not runs:
        return []
    needs = sorted(run.whole_experts_bytes for run in runs)
    least, most = gib(needs[0]), gib(needs[-1])
    needed = least if least == most else f"{least} to {most}"
    short = sum(run.whole_experts_bytes > run.limit_bytes for run in runs)
    return [
        "The QLoRA runs count on quantised experts, as under Transformers 4 or in stacks that pack experts."
        f" bitsandbytes under Transformers 5 leaves them whole: a card then holds {needed}, and {short} of"
        f" {counted(len(runs), 'run')} would not fit."
    ]


def payback(plan: Plan) -> list[str]:
    """When tuning has paid for itself, and what it would be worth to know more."""
    found = []
    if plan.best_tuned and plan.best_rival:
        tuned, rival = named(plan.arm(plan.best_tuned)), named(plan.arm(plan.best_rival))
        if plan.payback_month is None:
            found.append(f"{tuned} does not pay back against {rival} within {months_text(horizon(plan))}.")
        else:
            month = "before month 1" if plan.payback_month == 0 else f"by the end of month {plan.payback_month}"
            found.append(f"{tuned} has cost no more in all than {rival} {month}.")
    advised = plan.arm(plan.verdict.arm)
    found.append(
        f"{named(advised)} costs {money(advised.expected_regret_usd)} more, on average, than the way that turns"
        " out cheapest: knowing every assumption exactly would be worth no more than that."
    )
    return found


def retraining(plan: Plan) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table of retrain intervals."""
    priced = any(case.quality_lost_usd is not None for case in plan.retraining)
    heads = ("retrained", "times", "USD", "quality falls to", *(("worth lost", "together") if priced else ()))
    rows = []
    for case in plan.retraining:
        lost = case.quality_lost_usd
        more = () if lost is None else (money(lost), money(case.retrain_usd + lost))
        rows.append(
            (
                case.label,
                f"{case.retrains:.0f}",
                money(case.retrain_usd),
                percent(case.lowest_quality_fraction),
                *more,
            )
        )
    return heads, rows


def retraining_title(plan: Plan) -> str:
    """What the retrains of the best tuned way cost as planned, and what they hold."""
    planned = next(case for case in plan.retraining if case.planned)
    return (
        f"{named(plan.arm(plan.best_tuned))} retrained {planned.label.removesuffix(', as planned')}:"
        f" {money(planned.retrain_usd)} over {months_text(horizon(plan))}, and quality falls to"
        f" {percent(planned.lowest_quality_fraction)} in between"
    )


def retraining_notes(plan: Plan) -> list[str]:
    """What the table of retrain intervals rests on, and what retrieval costs in its place."""
    values = plan.scenario.assumptions
    decay = values.row("quality_decay_fraction")
    notes = [
        f"Quality: what is left of it just before a retrain, if it falls by {percent(decay.base)}"
        f" ({percent(decay.low)} to {percent(decay.high)}) in six months. Runs: {plan.scenario.retraining}; none"
        " in the last month."
    ]
    worth = plan.scenario.quality_value_usd_per_month
    if worth is not None:
        row = values.row("retrain_every_months")
        between = counted(float(f"{row.base:.2g}"), "month")
        chosen = (
            f"At {money(worth)} a month for full quality, {between} between retrains cost least"
            f" ({row.low:.2g} to {row.high:.2g} over the range of the decay)."
        )
        given = plan.scenario.goal == "facts" and plan.scenario.data_changes_every_days is not None
        by_cost = row.status == "computed" and not given
        notes.append(chosen if by_cost else "The interval was given, not chosen by cost.")
    retrieval = [arm for arm in plan.arms if arm.style == "retrieval"]
    if retrieval:
        arm = min(retrieval, key=lambda one: one.total_usd.base)
        usd = money(arm.total_usd.base)
        notes.append(f"Retrieval takes in new facts without a retrain: {named(arm)} costs {usd} in all.")
    return notes


def months_text(months: int) -> str:
    """A number of months in words."""
    return counted(months, "month")

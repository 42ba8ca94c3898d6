"""Write pricing/data/api_models.csv, the default API baselines, from the installed genai-prices.

    python benchmarks/snapshot_api_prices.py [--as-of 2026-11-21] [--check]

With --check nothing is written; the exit code is 1 where the checked-in file differs. Rows of an earlier
version stay in the file (a new price is a new dated row); rows of the installed version are replaced.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from datetime import date

import genai_prices

from pricing.api import PRICE_NAMES, SNAPSHOT, ApiModel, retirements
from pricing.lookup import look_up

SONNET_5 = "simonw/llm-prices reads 3 and 15 USD from 2026-09-01"
AWS_BATCH = "litellm 1.109.1 lists batches at half price"
LLAMA_TOGETHER = "litellm 1.109.1 reads 1.04 and 1.04 USD"

DEFAULT_MODELS = {
    "openai/gpt-6-luna": "",
    "openai/gpt-5.6-luna": "",
    "openai/gpt-4o-mini": "",
    "openai/gpt-4.1-mini": "",
    "openai/gpt-5.4-mini": "",
    "openai/gpt-6.1-terra": "",
    "openai/gpt-6.1-sol": "",
    "openai/gpt-5.6-sol": "",
    "openai/gpt-6-astra": "",
    "anthropic/claude-haiku-5-5": "",
    "anthropic/claude-haiku-4-5": "",
    "anthropic/claude-sonnet-5": SONNET_5,
    "anthropic/claude-sonnet-5-5": "",
    "anthropic/claude-opus-5-5": "",
    "anthropic/claude-fable-5-2": "",
    "google/gemini-2.5-flash-lite": "",
    "google/gemini-3.5-flash-lite": "",
    "google/gemini-3.8-flash": "",
    "google/gemini-4-argon": "",
    "google/gemini-3.1-pro-preview": "",
    "mistral/ministral-8b-2512": "",
    "mistral/mistral-small-2603": "",
    "mistral/mistral-large-4": "",
    "mistral/mistral-medium-3-5": "",
    "deepseek/deepseek-flash": "",
    "deepseek/deepseek-v4-pro": "",
    "groq/openai/gpt-oss-20b": "",
    "groq/openai/gpt-oss-120b": "tokencost reads 0.75 USD for output",
    "aws/amazon.nova-micro-v1:0": "",
    "aws/amazon.nova-lite-v1:0": AWS_BATCH,
    "aws/amazon.nova-pro-v1:0": "",
    "aws/global.amazon.nova-2-lite-v1:0": "",
    "aws/meta.llama3-3-70b-instruct-v1:0": AWS_BATCH,
    "together/meta-llama/Llama-3.3-70B-Instruct-Turbo": LLAMA_TOGETHER,
    "x-ai/grok-4.3": "",
    "x-ai/grok-4.7": "",
    "zai/GLM-5.3-Flash": "",
    "moonshotai/kimi-k3.1-pro": "",
}

# Upper ends of the tiers: USD per million tokens, three input tokens for each output token.
TIER_BELOW_USD = (("nano", 0.3), ("small", 1.2), ("mid", 5.0), ("frontier", float("inf")))

COLUMNS = (
    "provider",
    "model",
    "tier",
    *(f"{name}_usd_per_million_tokens" for name in PRICE_NAMES),
    "long_input_from_tokens",
    *(f"long_{name}_usd_per_million_tokens" for name in PRICE_NAMES),
    "context_window",
    "effective_from",
    "seen",
    "status",
    "source",
    "notes",
)


def tier(model: ApiModel) -> str:
    blended = 0.75 * model.input_usd_per_million_tokens + 0.25 * model.output_usd_per_million_tokens
    return next(name for name, below in TIER_BELOW_USD if blended < below)


def rows(reference: str, remark: str, *, as_of: date) -> list[dict[str, str]]:
    """The model's prices, and those announced for later days."""
    provider, _, name = reference.partition("/")
    model = look_up(provider, name, as_of=as_of, ends=retirements())
    if model.reference != reference:
        raise SystemExit(f"{reference} reads as {model.reference}; name that one")
    found = []
    for one, note in ((model, remark), *((change, "announced") for change in model.changes)):
        values = {key: getattr(one, key) for key in COLUMNS}
        values["tier"] = tier(model)
        values["notes"] = "; ".join(part for part in (one.notes, note) if part)
        found.append({key: text(value) for key, value in values.items()})
    return found


def text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=date.fromisoformat, default=date.today())
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    source = f"genai-prices {genai_prices.__version__}"
    earlier: list[dict[str, str]] = []
    if SNAPSHOT.exists():
        with SNAPSHOT.open(newline="", encoding="utf-8") as file:
            earlier = [entry for entry in csv.DictReader(file) if entry["source"] != source]
    now = [
        entry
        for reference, remark in DEFAULT_MODELS.items()
        for entry in rows(reference, remark, as_of=arguments.as_of)
    ]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(earlier + now)
    if arguments.check:
        return int(not SNAPSHOT.exists() or SNAPSHOT.read_text(encoding="utf-8") != buffer.getvalue())
    SNAPSHOT.write_text(buffer.getvalue(), encoding="utf-8")
    print(f"{len(now)} rows from {source} into {SNAPSHOT}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

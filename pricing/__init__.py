"""What things cost: dated, sourced price rows and the loaders that check them. Knows no model.

offers(as_of=...)              accelerators by the hour; cpu_offers(as_of=...) machines without them
hosted_finetuning(as_of=...)   fine-tuning as a service
api_models(as_of=...)          default API baselines; api_model(name, as_of=...) for any other
prices_for(row, input_tokens=...)  the prices of a request of that length
own_hardware()                 accelerators to buy; own_usd_per_gpu_hour(...) is the formula
"""

from datetime import date

from pricing.api import TIERS, ApiModel, RequestPrices, all_api_models, api_model, api_models, prices_for
from pricing.caching import CachingRule, caching_rule
from pricing.gpu import KINDS, Offer, Provider, all_cpu_offers, all_offers, cpu_offers, offers, providers
from pricing.hosted import HostedOffer, all_hosted, hosted_finetuning
from pricing.own import OwnHardware, OwnValue, own_defaults, own_hardware, own_usd_per_gpu_hour
from pricing.table import OLD_AFTER_DAYS, age_days

__all__ = [
    "KINDS",
    "OLD_AFTER_DAYS",
    "TIERS",
    "ApiModel",
    "CachingRule",
    "HostedOffer",
    "Offer",
    "OwnHardware",
    "OwnValue",
    "Provider",
    "RequestPrices",
    "age_days",
    "api_model",
    "api_models",
    "caching_rule",
    "cpu_offers",
    "hosted_finetuning",
    "newest_price_day",
    "offers",
    "own_defaults",
    "own_hardware",
    "own_usd_per_gpu_hour",
    "prices_for",
    "providers",
]


def newest_price_day() -> date:
    """The day of the newest price in any table: the day for which a plan is made unless it is told another."""
    tables = (all_offers(), all_cpu_offers(), all_hosted(), all_api_models())
    return max(row.seen for table in tables for row in table)

"""Prices of instance types: a dated table, because a VPC may not reach AWS's price list.

An instance type that is not in the table has no known price; nothing guesses it. An administrator
can set prices (``hourly_prices``).
"""

from __future__ import annotations

from collections.abc import Mapping

#: The month of the table. Source: AWS's bulk price file and Price List API, Studio JupyterLab, on
#: demand.
PRICED_AS_OF = "2026-09"

#: The regions with the prices of the table. Other regions differ (ap-northeast-2 by about 23 %).
PRICED_REGIONS = frozenset({"us-east-1", "us-west-2"})

USD_PER_HOUR: Mapping[str, float] = {
    "ml.t3.medium": 0.05,
    "ml.t3.large": 0.10,
    "ml.t3.xlarge": 0.20,
    "ml.t3.2xlarge": 0.399,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m6i.4xlarge": 0.922,
    "ml.m7i.48xlarge": 11.612,
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c6i.8xlarge": 1.632,
    "ml.r5.4xlarge": 1.21,
    "ml.r6i.4xlarge": 1.21,
    "ml.r6i.8xlarge": 2.419,
    "ml.r7i.2xlarge": 0.635,
    "ml.r7i.4xlarge": 1.27,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g4dn.2xlarge": 0.94,
    "ml.g5.xlarge": 1.41,
    "ml.g5.2xlarge": 1.52,
    "ml.g5.4xlarge": 2.03,
    "ml.g5.8xlarge": 3.06,
    "ml.g5.12xlarge": 7.09,
    "ml.g5.24xlarge": 10.18,
    "ml.g5.48xlarge": 20.36,
    "ml.g6.xlarge": 1.127,
    "ml.g6.2xlarge": 1.222,
    "ml.g6.4xlarge": 1.654,
    "ml.g6.12xlarge": 5.752,
    "ml.g6.24xlarge": 8.344,
    "ml.g6.48xlarge": 16.688,
    "ml.p4d.24xlarge": 25.251,
    "ml.p5.48xlarge": 63.296,
}


def usd_per_hour(
    instance_type: str | None, region: str | None, given: Mapping[str, float]
) -> float | None:
    """The price of ``instance_type`` in US dollars an hour; None if it is unknown.

    A price in ``given``, which the administrator sets, wins over the table."""
    if instance_type is None:
        return None
    if instance_type in given:
        return given[instance_type]
    return USD_PER_HOUR.get(instance_type) if region in PRICED_REGIONS else None

"""Estimates what the scheduled run costs in a month, from list prices of us-east-1. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

from .template import MEMORY, Options

#: The month in which the list prices below were taken.
PRICED_AS_OF = "2026-11"


# Prices of AWS in US dollars: list prices of us-east-1, without any free tier, as in
# https://aws.amazon.com/lambda/pricing/ (arm64), …/cloudwatch/pricing/, …/s3/pricing/ and
# …/aws-cost-management/pricing/. Prices of other regions differ.
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
#: One alarm, and one metric, for a month.
ALARM = 0.10
METRIC = 0.30
#: One GB that a query of CloudWatch Logs Insights scans.
INSIGHTS_GB = 0.005
#: One metric that GetMetricData returns.
METRIC_READ = 0.01 / 1000
S3_PUT = 0.005 / 1000
COST_EXPLORER_REQUEST = 0.01

HOURS = 730
DAYS = 30.4

#: Assumed: the GB that one server writes to the log group of Studio each day.
LOG_GB_A_DAY = 0.002


class Line(NamedTuple):
    what: str
    usd: float


def estimate(options: Options, apps: int, canvas_apps: int) -> list[Line]:
    """The parts of the cost for this number of apps, each with a user profile and a space."""
    tidies = HOURS * 60 / options.every if options.has_policy else 0.0
    daily = 2 * DAYS
    seconds = run_seconds(apps)
    compute = (tidies + daily) * (seconds * MEMORY / 1024 * LAMBDA_GB_SECOND + LAMBDA_REQUEST)
    alarms = 1 + len(options.commands)
    queries = daily + (tidies if options.policy.without_extension.delete else 0)
    lines = [
        Line(f"AWS Lambda, {tidies + daily:.0f} runs of about {seconds:.0f} s", compute),
        Line(f"{alarms} CloudWatch alarms", alarms * ALARM),
        Line(f"{alarms - 1} CloudWatch metrics", (alarms - 1) * METRIC),
        Line(
            f"CloudWatch Logs Insights, {queries:.0f} queries of {apps * LOG_GB_A_DAY:.1f} GB",
            queries * apps * LOG_GB_A_DAY * INSIGHTS_GB,
        ),
        Line(
            f"the metric of {canvas_apps} Canvas apps",
            (tidies + daily) * canvas_apps * METRIC_READ,
        ),
        # A run of tidy writes the state three times, and its plan. A daily run writes four objects.
        Line("S3 requests", (4 * tidies + 4 * daily) * S3_PUT),
    ]
    if options.bill:
        lines.append(Line("Cost Explorer, once a day", DAYS * COST_EXPLORER_REQUEST))
    return lines


def run_seconds(apps: int) -> float:
    """The seconds of one run: the paced lists of apps, user profiles and spaces (100 a page), and
    CloudTrail's events (50 a page)."""
    return 8 + 0.52 * (3 * math.ceil(apps / 100) + math.ceil(apps / 50))

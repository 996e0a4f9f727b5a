"""Counters and gauges in the ``/metrics`` of the Jupyter server.

They are registered with prometheus_client's default registry, which jupyter_server itself uses.
Without that package there are no metrics.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ..world.stamps import parse_stamp

PREFIX = "auto_shutdown"


class Metrics:
    """An observer of the announcer, which counts events; and a collector for prometheus_client,
    which reads the report whenever somebody requests ``/metrics``."""

    def __init__(
        self,
        report: Callable[[], Mapping[str, Any]],
        unsignalled_changes: Callable[[], int],
        registry: Any = None,
    ) -> None:
        """``report`` and ``unsignalled_changes`` are called for each request of ``/metrics``.
        Raises ImportError when prometheus_client is not installed."""
        from prometheus_client import REGISTRY
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        self._counter, self._gauge = CounterMetricFamily, GaugeMetricFamily
        self._report, self._unsignalled_changes = report, unsignalled_changes
        self._registry = registry or REGISTRY
        self._removals: Counter[tuple[str, str, str]] = Counter()
        self._notices: Counter[tuple[str]] = Counter()
        self._faults: Counter[tuple[str, str]] = Counter()
        self._registry.register(self)

    def close(self) -> None:
        """Leave the registry, because another server may start in this process (in tests)."""
        self._registry.unregister(self)

    # -- as an observer ------------------------------------------------------------------------

    def changed(self, sequence: int) -> None:
        """Counts nothing: the gauges are read from the report on request."""

    def notice(self, notice: Mapping[str, Any]) -> None:
        self._notices[(str(notice["kind"]),)] += 1

    def removal(self, outcome: Mapping[str, Any]) -> None:
        key = (str(outcome["kind"]), str(outcome["reason"]), str(outcome["outcome"]))
        self._removals[key] += 1

    def fault(self, fault: Mapping[str, Any]) -> None:
        if fault["state"] == "started":
            # A source may end with the id of a resource ("kernel ID"). The label gets the first
            # word only, because each value of a label makes a new time series.
            self._faults[(str(fault["source"]).split(" ")[0], str(fault["code"]))] += 1

    # -- as a collector ------------------------------------------------------------------------

    def describe(self) -> list[Any]:
        """An empty list. Without this method the registry would call ``collect`` at registration,
        before there is a report."""
        return []

    def collect(self) -> list[Any]:
        """All metrics with their current values."""
        report = self._report()
        resources = Counter((r["kind"], r["reason"]) for r in report["resources"])
        health, savings = report["health"], report["savings"]
        return [
            self._counted(
                "removals", "Removals that ended.", ("kind", "reason", "outcome"), self._removals
            ),
            self._counted("notices", "Removals that were announced.", ("kind",), self._notices),
            self._counted("faults", "Faults that began.", ("source", "code"), self._faults),
            self._gauged("resources", "Resources.", ("kind", "reason"), resources),
            self._gauged(
                "unread",
                "1 for each list that is not known or not current; its resources may be missing.",
                ("source",),
                Counter((source,) for source in report["unread"]),
            ),
            self._single("faults_in_force", "Faults in force.", len(health["faults"])),
            self._single("armed", "1 if idle resources are removed.", float(health["armed"])),
            self._single(
                "unsignalled_changes",
                "Changes that only a poll noticed, because the server sent no signal.",
                self._unsignalled_changes(),
            ),
            self._single(
                "last_pass_age_seconds", "Age of the last pass.", _age(health["last_pass"])
            ),
            self._single(
                "saved_instance_hours",
                "Instance hours that removals saved.",
                float(savings.get("instance_hours") or 0),
            ),
            self._single(
                "saved_usd",
                "US dollars that removals saved, where the price is known.",
                float(savings.get("usd") or 0),
            ),
        ]

    def _counted(self, name: str, text: str, labels: tuple[str, ...], counts: Counter[Any]) -> Any:
        return _filled(self._counter(f"{PREFIX}_{name}", text, labels=labels), counts)

    def _gauged(self, name: str, text: str, labels: tuple[str, ...], counts: Counter[Any]) -> Any:
        return _filled(self._gauge(f"{PREFIX}_{name}", text, labels=labels), counts)

    def _single(self, name: str, text: str, value: float) -> Any:
        return self._gauge(f"{PREFIX}_{name}", text, value=value)


def _filled(family: Any, counts: Counter[Any]) -> Any:
    for labels, count in sorted(counts.items()):
        family.add_metric([str(label) for label in labels], count)
    return family


def _age(stamp: str | None) -> float:
    """Seconds since ``stamp`` (ISO 8601); NaN before the first pass."""
    at = parse_stamp(stamp)
    return float("nan") if at is None else max(time.time() - at.timestamp(), 0.0)

"""The page of ``domain report`` in a real browser sorts, filters and draws, and makes no
request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from account import HOUR, NOW, REGION, account, app, line_of, points
from lab_page import picture

from auto_shutdown.domain import facts as f
from auto_shutdown.domain.facts import Unread
from auto_shutdown.domain.observations import ReportedApp, Sums
from auto_shutdown.domain.page import html
from auto_shutdown.domain.policy import parse
from auto_shutdown.domain.report import build
from auto_shutdown.domain.resources import SPACE, Profile, Space

pytestmark = pytest.mark.slow

EVIL = "</script><img src=x onerror=alert(1)>"
TEAMS = ("vision", "risk", "search")
INSTANCES = ("ml.t3.medium", "ml.g5.xlarge", "ml.m5.4xlarge", "ml.g4dn.xlarge")


def many() -> dict[str, Any]:
    """A report of 40 people: spaces with JupyterLab, Canvas, RStudio sessions, an orphan."""
    items, reports, tags = [], [], {}
    spaces, profiles, canvas = {}, {}, {}
    for number in range(40):
        person = f"user-{number:02}"
        profile = Profile(REGION, "d-one", person)
        profiles[profile.key] = profile
        tags[f"user-profile/d-one/{person}"] = {"team": TEAMS[number % 3]}
        space = Space(REGION, "d-one", f"lab-{number:02}", owner=person, storage_gb=5)
        spaces[space.key] = space
        lab = app(
            "JupyterLab",
            space.name,
            hours=5 + 9 * number,
            owner_kind=SPACE,
            instance_type=INSTANCES[number % 4],
        )
        items.append(lab)
        if number % 5:
            idle = NOW - number * HOUR if number % 3 == 0 else None
            own = ReportedApp("JupyterLab", "default", idle_since=idle, would_remove=bool(idle))
            would = Sums(number, number * 0.5) if number % 4 == 0 else Sums()
            reports.append(
                line_of(
                    space.name,
                    apps=(own,),
                    dry_run=number % 4 == 0,
                    saved=Sums(number * 2.0, number * 0.8),
                    would_save=would,
                )
            )
        if number % 8 == 0:
            one = app("Canvas", person, hours=30, instance_type=None)
            items.append(one)
            canvas.update(points(one, number * HOUR))
    items.append(app("RSessionGateway", "user-03", hours=160, instance_type="ml.m5.4xlarge"))
    items.append(app("TensorBoard", EVIL, hours=12))
    unread = Unread(f.QUOTAS, REGION, "AccessDenied", "Quotas were not read.", "Allow it.")
    days = [(NOW - timedelta(days=n)).date().isoformat() for n in range(14)]
    facts = account(
        *items,
        profiles=profiles,
        spaces=spaces,
        tags=tags,
        reports=tuple(reports),
        canvas=canvas,
        account="123456789012",
        unread=(unread,),
    )
    rules = parse({"version": 1, "prices": {"Canvas": 1.9}})
    estimated = {day["day"]: day["usd"] for day in build(facts, rules)["days"]}
    # The bill has also what was deleted since.
    billed = {day: estimated[day] * 1.03 + 9 * n for n, day in enumerate(days)}
    return build(replace(facts, billed=billed), rules)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return many()


@pytest.fixture(params=["light", "dark"])
def page(browser: Any, report: dict[str, Any], tmp_path: Path, request: Any) -> Iterator[Any]:
    path = tmp_path / "studio.html"
    path.write_text(html(report), encoding="utf-8")
    context = browser.new_context(
        viewport={"width": 1200, "height": 900}, color_scheme=request.param
    )
    found = context.new_page()
    found.asked, found.errors = [], []
    found.on("request", lambda r: found.asked.append(r.url))
    found.on("pageerror", lambda e: found.errors.append(str(e)))
    found.on("console", lambda m: found.errors.append(m.text) if m.type == "error" else None)
    found.on("dialog", lambda d: found.errors.append("a dialog"))
    found.goto(path.as_uri())
    if request.param == "light":
        picture(found.locator("body"), "domain", height=900)
    yield found
    assert found.asked == [path.as_uri()]
    assert found.errors == []
    context.close()


def column(page: Any, title: str) -> list[str]:
    titles = [t.rstrip(" ▲▼") for t in page.locator("#rows th").all_inner_texts()]
    index = titles.index(title) + 1
    return list(page.locator(f"#rows tbody td:nth-child({index})").all_inner_texts())


def test_page_sorts_and_filters_without_a_request(page: Any, report: dict[str, Any]) -> None:
    rows = report["rows"]
    assert page.locator("#rows tbody tr").count() == len(rows)
    assert page.locator("#count").inner_text().startswith(f"{len(rows)} of {len(rows)}, $")
    rate = f"${report['totals']['all']['usd_per_hour']:,.2f} / h"
    assert page.locator(".tile b").first.inner_text() == rate
    assert "Quotas were not read. Allow it." in page.locator("#unread").inner_text()

    # The most expensive first, then as the reader wants it; the unknown stands last either way.
    dollars = [float(t.strip("$")) for t in column(page, "$/h") if t != "?"]
    assert dollars == sorted(dollars, reverse=True)
    page.get_by_role("button", name="$/h").click()
    cells = column(page, "$/h")
    known = [float(t.strip("$")) for t in cells if t != "?"]
    assert known == sorted(known)
    assert "?" not in cells[: len(known)]
    page.get_by_role("button", name="Owner").click()
    owners = [o for o in column(page, "Owner") if not o.startswith("<")]
    assert owners == sorted(owners)
    assert page.locator('#rows th[aria-sort="ascending"]').inner_text().startswith("Owner")

    page.locator("#filter").fill("user-03")
    assert set(column(page, "Owner")) == {"user-03"}
    page.locator("#filter").fill("USER-03 rsession")
    assert column(page, "Type") == ["RSessionGateway"]
    page.locator("#filter").fill("")
    page.locator('select[data-key="team"]').select_option("risk")
    assert set(column(page, "Team")) == {"risk"}
    page.locator('select[data-key="team"]').select_option("")

    # A name that a user chose is text, whatever it holds.
    assert any(EVIL in owner for owner in column(page, "Owner"))
    assert page.locator("img").count() == 0


def test_page_draws_the_cost_of_each_day(page: Any, report: dict[str, Any]) -> None:
    boxes = page.locator("#chart rect.bar")
    drawn = sum(len(day["by_type"]) for day in report["days"])
    assert boxes.count() == drawn > 20
    assert page.locator("#chart line.billed").count() == 14
    chart = page.locator("#chart svg").bounding_box()
    for box in (boxes.nth(index).bounding_box() for index in range(drawn)):
        assert box["y"] >= chart["y"]
        assert box["y"] + box["height"] <= chart["y"] + chart["height"]
    types = {t for day in report["days"] for t in day["by_type"]}
    assert set(page.locator("#legend span").all_inner_texts()) == types


def test_page_shows_ten_thousand_rows(browser: Any, report: dict[str, Any], tmp_path: Path) -> None:
    big = {**report, "rows": report["rows"] * (10_000 // len(report["rows"]))}
    path = tmp_path / "big.html"
    path.write_text(html(big), encoding="utf-8")
    found = browser.new_page()
    found.goto(path.as_uri())
    assert found.locator("#rows tbody tr").count() == 300
    found.locator("#more").click()
    assert found.locator("#rows tbody tr").count() == len(big["rows"])
    found.close()


def test_page_shows_an_empty_report(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(html(build(account(), parse({"version": 1}))), encoding="utf-8")
    found = browser.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda e: errors.append(str(e)))
    found.goto(path.as_uri())
    assert found.locator("#count").inner_text() == "0 of 0, $0.00 an hour"
    assert errors == []
    found.close()


def test_page_contains_the_complete_report(report: dict[str, Any]) -> None:
    text = html(report).split("const report = ")[1].split(";\nconst now")[0]
    assert json.loads(text) == report
    assert "<" not in text

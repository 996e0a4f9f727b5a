"""The panel in a real JupyterLab with a real Chromium: its texts, and the actions of users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab_page import (
    PANEL,
    PICTURES,
    ROOT,
    accessibility,
    health,
    opened,
    picture,
    row,
    run,
    setting,
    theme,
    widen,
)
from panel_scene import Scene, command_line

from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAME_OF_FOCUS = """
  (document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()
"""

REPORTS = ROOT / "labextension" / "src" / "__tests__" / "reports"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with LocalStudio(tmp_path_factory.mktemp("studio")) as studio:
        yield Scene(studio)


@pytest.fixture
def page(browser: Any, scene: Scene) -> Iterator[Any]:
    context = browser.new_context(locale="en-GB")
    errors: list[str] = []
    found = opened(context, scene.server)
    # The host has errors of its own when its server goes.
    found.on("pageerror", lambda error: errors.append(f"{error.message} {error.stack}"))
    yield found
    context.close()
    assert [error for error in errors if "auto-shutdown" in error] == []


def test_row_of_every_state_shows_its_reason(page: Any, scene: Scene) -> None:
    busy = row(page, "train.ipynb", "busy")
    assert "running " in busy.inner_text()
    assert busy.locator("progress").count() == 0, "no countdown for the active"
    idle = row(page, "eval.ipynb", "recent-activity")
    assert "/ 2 h" in idle.inner_text()
    assert idle.locator("progress").count() == 1
    job = row(page, "terminal 1", "running-job")
    assert "running sleep" in job.inner_text()
    empty = row(page, "pytorch-1-8", "recent-activity")
    assert "empty · idle" in empty.inner_text()
    assert "follows its app" in row(page, "terminal of datascience-1.0", "in-use").inner_text()
    assert "Watching" in health(page).inner_text()
    billed = page.locator(f'{PANEL} [data-instance="ml.t3.medium"]').inner_text()
    assert "$0.05/h" in billed
    instance = page.locator(f'{PANEL} [data-instance="ml.t3.medium"] > .jp-AS-line .jp-AS-word')
    assert "Stops when train.ipynb's cell has ended" in instance.get_attribute("title")
    idle.locator(".jp-AS-word").click()
    assert "Limit: 2 h (the general limit)" in idle.inner_text()
    assert "recent-activity" in idle.locator(".jp-AS-word").get_attribute("title")


def test_user_keeps_a_resource_for_hours_or_until_a_time_and_releases_it(
    page: Any, scene: Scene
) -> None:
    kept = row(page, "kept.ipynb")
    kept.locator(".jp-AS-word").click()
    kept.get_by_role("textbox", name="Note for keeping kept.ipynb").fill("waits for the review")
    four = kept.get_by_role("button", name="Keep kept.ipynb for 4 h")
    assert "Until " in four.get_attribute("title"), "the time it ends"
    four.click()
    row(page, "kept until", "kept-alive")
    (held,) = scene.keep_alive()
    assert (held["id"], held["note"]) == (scene.kernels["kept"], "waits for the review")
    kept.locator(".jp-AS-note", has_text="waits for the review").wait_for()
    assert "waits for the review" in command_line(scene.server, "keep-alive")
    row(page, "kept.ipynb").get_by_role("button", name="Release kept.ipynb").click()
    scene.server.wait_for("the release", lambda: not scene.keep_alive())

    row(page, "kept.ipynb", "recent-activity").get_by_role(
        "button", name="Keep kept.ipynb until…"
    ).click()
    clock = page.locator(f"{PANEL} input[type=time]")
    keep = clock.locator("xpath=..").get_by_role("button", name="Keep")
    later = page.evaluate("h => new Date(Date.now() + h * 36e5).toTimeString().slice(0, 5)", 11)
    clock.fill(later)
    assert "At most 10 h" in clock.locator("xpath=..").inner_text(), "capped by the administrator"
    assert keep.is_disabled()
    clock.fill(page.evaluate("h => new Date(Date.now() + h * 36e5).toTimeString().slice(0, 5)", 2))
    keep.click()
    (held,) = scene.server.wait_for("the keep-alive", scene.keep_alive)
    assert held["id"] == scene.kernels["kept"]


def test_panel_shows_the_keep_alive_of_the_command_keep_everything(page: Any, scene: Scene) -> None:
    run(page, "Keep Everything Alive…")
    page.locator(".jp-Dialog select").select_option(index=1)
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    banner = page.locator(f"{PANEL} .jp-AS-everything")
    banner.get_by_text("Everything is kept until").wait_for()
    assert "all" in {held["kind"] for held in scene.keep_alive()}
    banner.get_by_role("button", name="Release").click()
    banner.wait_for(state="detached")
    assert "all" not in {held["kind"] for held in scene.keep_alive()}


def test_shut_down_asks_for_confirmation(page: Any, scene: Scene) -> None:
    row(page, "pytorch-1-8").locator(".jp-AS-word").click()
    row(page, "pytorch-1-8").get_by_role("button", name="Shut down pytorch-1-8 now").click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for()
    said = dialog.inner_text()
    assert "Stopping ends the variables in memory" in said
    assert "Files in your home folder are kept" in said
    assert "AWS has closed Studio Classic to new apps" in said
    dialog.locator("button.jp-mod-reject").first.click()
    assert scene.studio.status(scene.app) == "InService"
    spare = scene.studio.create_app("tensorflow-2.3", "ml.m5.large")
    page.get_by_role("button", name="Check now").click()
    row(page, "tensorflow-2-3").locator(".jp-AS-word").click()
    row(page, "tensorflow-2-3").get_by_role("button", name="Shut down tensorflow-2-3 now").click()
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    scene.server.wait_for(
        "the app goes", lambda: scene.studio.status(spare) in ("Deleting", "Deleted")
    )
    removed = page.locator(f"{PANEL} .jp-AS-removed", has_text="tensorflow-2-3")
    removed.get_by_text("on request").wait_for()


def test_panel_checks_settings_while_the_user_types_and_the_server_stores_them(
    page: Any, scene: Scene
) -> None:
    page.locator(".lm-MenuBar-item", has_text="Settings").click()
    page.locator(".lm-Menu-item", has_text="Auto Shutdown Settings…").click()
    setting(page, "enabled").wait_for()
    sentence = page.locator(f"{PANEL} .jp-AS-settingsSummary")
    assert "Notebooks and terminals idle for 2 hours are stopped" in sentence.inner_text()
    assert "Their app is deleted at the same time" in sentence.inner_text()

    field = setting(page, "idle_timeout_minutes")
    assert field.get_by_role("button").count() == 0, "nothing to undo yet"
    field.locator("input").fill("9 h")
    field.get_by_text("Must be from 10 m to 8 h").wait_for()
    assert field.locator("input").get_attribute("aria-invalid") == "true"
    field.locator("input").press("Tab")
    assert scene.user() == {}
    field.locator("input").fill("1 h 30 m")
    field.locator("input").press("Tab")
    sentence.get_by_text("1 hour 30 minutes").wait_for()
    assert scene.user() == {"idle_timeout_minutes": 90}
    field.get_by_role("button").click()
    sentence.get_by_text("idle for 2 hours").wait_for()
    assert scene.user() == {}

    # Only Enter, or leaving the field, saves; and what was saved is seen to be saved.
    terminals = setting(page, "terminal_idle_timeout_minutes")
    terminals.locator("input").fill("4")
    terminals.locator("input").fill("45")
    assert scene.user() == {}
    terminals.locator("input").press("Enter")
    sentence.get_by_text("terminals after 45 minutes").wait_for()
    terminals.get_by_text("✓ Saved").wait_for()
    terminals.locator("input").fill("")
    terminals.locator("input").press("Enter")
    sentence.get_by_text("Notebooks and terminals idle").wait_for()

    locked = setting(page, "dry_run")
    assert locked.locator("input").is_disabled()
    assert "Set by your administrator" in locked.inner_text()


def test_user_edits_one_rule_after_another(page: Any, scene: Scene) -> None:
    run(page, "Auto Shutdown Settings…")
    rules = setting(page, "rules")
    rules.get_by_role("button", name="Add a rule").click()
    rules.get_by_text("Enter what the rule is for").wait_for()
    first = rules.get_by_role("group", name="Rule 1")
    first.get_by_label("Instance type").fill("ml.g5.*")
    first.get_by_label("Idle for").fill("30 m")
    first.get_by_label("Idle for").press("Enter")
    expected = [{"instance_type": "ml.g5.*", "idle_timeout_minutes": 30}]
    scene.server.wait_for("the rule", lambda: scene.user().get("rules") == expected)
    page.locator(f"{PANEL} .jp-AS-settingsSummary").get_by_text("1 rule sets").wait_for()
    row(page, "pytorch-1-8").locator(".jp-AS-word").get_by_text("/ 30 m").wait_for()
    rules.get_by_role("button", name="Rule 1: remove").click()
    scene.server.wait_for("no rule", lambda: scene.user().get("rules") == [])
    rules.get_by_role("button", name="Back to the default").click()
    scene.server.wait_for("the default", lambda: scene.user() == {})


def test_user_operates_the_panel_with_the_keyboard(page: Any, scene: Scene) -> None:
    page.get_by_role("button", name="Check now").focus()

    def tab_to(label: str) -> None:
        """Press Tab until the focus is on the button of this accessible name."""
        names: list[str] = []
        for _ in range(60):
            page.keyboard.press("Tab")
            names.append(page.evaluate(NAME_OF_FOCUS))
            if names[-1].startswith(label):
                return
        raise AssertionError(names)

    tab_to("eval.ipynb: idle")
    page.keyboard.press("Enter")
    tab_to("Keep eval.ipynb for 1 h")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus is seen"
    page.keyboard.press("Enter")
    kernel = scene.kernels["eval"]
    scene.server.wait_for("keep", lambda: kernel in {held["id"] for held in scene.keep_alive()})
    row(page, "eval.ipynb", "kept-alive").get_by_role("button", name="Release").press("Enter")
    scene.server.wait_for(
        "release", lambda: kernel not in {held["id"] for held in scene.keep_alive()}
    )


@pytest.mark.parametrize("name", ["Light", "Dark"])
def test_panel_is_accessible_at_300_px_in_both_themes(
    browser: Any, scene: Scene, name: str
) -> None:
    """No text is cut off, and axe finds no violation. The test makes the README's pictures."""
    theme(scene.server, name)
    scene.server.request(
        "PUT", "auto-shutdown/keep-alive",
        {"kind": "kernel", "id": scene.kernels["kept"], "minutes": 240},
    )  # fmt: skip
    context = browser.new_context(locale="en-GB", device_scale_factor=2)
    page = opened(context, scene.server)
    widen(page, 300)
    row(page, "kept.ipynb", "kept-alive")
    assert page.locator(PANEL).bounding_box()["width"] == pytest.approx(300, abs=12)
    page.mouse.move(800, 400)
    row(page, "eval.ipynb").locator(".jp-AS-word").click()
    page.locator(f"{PANEL} [data-fold=settings]").click()
    setting(page, "enabled").wait_for()
    setting(page, "rules").get_by_role("button", name="Add a rule").click()
    wide = page.locator(PANEL).evaluate("node => node.scrollWidth - node.clientWidth")
    assert wide <= 0, "no sideways scrolling"
    assert accessibility(page, PANEL) == []
    assert accessibility(page, ".jp-AS-status") == []
    if PICTURES:
        page.set_viewport_size({"width": 1280, "height": 1700})
        page.locator(f"{PANEL} [data-section=settings]").scroll_into_view_if_needed()
        if name == "Light":
            picture(page.locator(f"{PANEL} [data-section=settings]"), "settings", around=8)
        report = scene.server.status()
        sources = report["policy"]["sources"]  # of a temporary directory
        report["policy"]["sources"] = dict.fromkeys(
            sources, "/etc/jupyter/jupyter_server_config.json"
        )
        REPORTS.mkdir(exist_ok=True)
        (REPORTS / "studio-classic.json").write_text(json.dumps(report, indent=1) + "\n")
    context.close()
    theme(scene.server, "Light")


def test_panel_recovers_after_a_restart_of_the_server(page: Any, scene: Scene) -> None:
    """The settings survive the restart. This is the last test here, because it restarts the
    server."""
    scene.server.request("PATCH", "auto-shutdown/settings", {"keep_terminals": True})
    scene.server.stop()
    health(page).get_by_text("The server does not answer").first.wait_for(timeout=90_000)
    assert page.locator(".jp-AS-statusButton.jp-mod-bad").count() == 1
    scene.server.restart()
    health(page).get_by_text("Watching").wait_for(timeout=120_000)
    assert scene.user() == {"keep_terminals": True}
    page.keyboard.press("Escape")  # the host's own dialog about it
    run(page, "Auto Shutdown Settings…")
    assert setting(page, "keep_terminals").locator("input").is_checked()

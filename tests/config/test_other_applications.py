"""``AutoShutdown`` in the file of another application on the same server, such as
``jupyter_lab_config.py``: it applies, or the extension does not start and names the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jupyter_server.extension.application import ExtensionApp
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.api.startup import STARTING, why_not_started
from auto_shutdown.config import other_applications, provenance

#: The package, the name of its application, and its configuration file without the suffix.
#: Jupyter links extensions by the name of the package: some before this extension, some after it.
LAB = ("zz_lab", "lab", "jupyter_lab_config")
NOTEBOOK = ("zz_notebook", "notebook", "jupyter_notebook_config")
EARLY = ("aa_notebook", "notebook", "jupyter_notebook_config")
OTHER = ("zz_other", "my-dashboards", "jupyter_my_dashboards_config")
ALL = [LAB, NOTEBOOK, EARLY, OTHER]


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch, request: Any) -> Any:
    """An extension application of another package on the same server."""
    package, name, _ = request.param
    app = type("Other", (ExtensionApp,), {"name": name, "__module__": package})
    module: Any = ModuleType(package)
    module._jupyter_server_extension_points = lambda: [{"module": package, "app": app}]
    monkeypatch.setitem(sys.modules, package, module)
    return request.param


@pytest.fixture
def jp_server_config(application: Any, tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"auto_shutdown": True, application[0]: True}},
        "AutoShutdown": {"metadata_path": str(tmp_path / "none"), "warn_minutes": 3},
    }


@pytest.fixture
def file(application: Any, jp_environ: Any, jp_config_dir: Path, request: Any) -> Path:
    """The user's configuration file of the other application."""
    suffix, text = request.param
    path = jp_config_dir / (application[2] + suffix)
    path.write_text(text)
    return path


SETTINGS = {"enabled": False, "dry_run": True, "warn_minutes": 4}
AS_JSON = (".json", json.dumps({"AutoShutdown": SETTINGS}))
AS_PYTHON = (".py", "".join(f"c.AutoShutdown.{name} = {SETTINGS[name]}\n" for name in SETTINGS))


@pytest.mark.parametrize("file", [AS_JSON, AS_PYTHON], indirect=True, ids=["json", "py"])
@pytest.mark.parametrize("application", ALL, indirect=True, ids=[one[0] for one in ALL])
async def test_values_apply_unless_the_server_has_another(
    application: Any, file: Path, jp_serverapp: Any
) -> None:
    await eventually(lambda: CONTROLLER in jp_serverapp.web_app.settings, "the extension starts")
    limits = jp_serverapp.web_app.settings[CONTROLLER].limits
    assert {name: limits.defaults[name] for name in SETTINGS} == {**SETTINGS, "warn_minutes": 3}
    assert limits.sources["enabled"] == limits.sources["dry_run"] == str(file)


REFUSED = [
    (LAB, (".py", "c.AutoShutdown.enabled = False\n1/0\n"), "it raises ZeroDivisionError", True),
    (EARLY, (".py", "import no_such_module_here\nc = get_config()\n"), "ModuleNotFoundError", True),
    (NOTEBOOK, (".json", '{"AutoShutdown": {"enabled": false}'), "it is not JSON", True),
    (OTHER, (".py", "c.AutoShutdown.enabled ="), "it is not Python", True),
    (LAB, (".json", '{"auto_shutdown": {"enabled": false}}'), "auto_shutdown", True),
    (LAB, (".json", '{"ServerApp": {"AutoShutdown": {"enabled": false}}}'),
     "within ServerApp", True),
    (LAB, (".py", "c.LabApp.AutoShutdown.enabled = False"), "within LabApp", False),
    (LAB, (".py", "c.AutoShutdown.enabld = False"), "Did you mean enabled?", False),
    (NOTEBOOK, (".py", "c.AutoShutdown.warn_minutes = 5\nc.AutoShutdown.enabled = 'x'"),
     "enabled", False),
    (EARLY, (".json", '{"AutoShutdown": {"idle_timeout_minutes": 1}}'), "at least 10", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("application", "file", "reason", "names_file"),
    REFUSED,
    indirect=["application", "file"],
    ids=[f"{row[0][0]}-{row[2]}" for row in REFUSED],
)
async def test_file_that_cannot_be_understood_keeps_the_extension_from_starting(
    application: Any, file: Path, reason: str, names_file: bool, jp_serverapp: Any
) -> None:
    settings = jp_serverapp.web_app.settings
    await eventually(lambda: why_not_started(settings) is not STARTING, "the start fails")
    answer = why_not_started(settings)
    assert CONTROLLER not in settings
    assert reason in answer.message
    assert not names_file or str(file) in answer.message


@pytest.mark.parametrize("application", [LAB], indirect=True)
async def test_application_that_fails_to_load_does_not_hide_its_file(
    application: Any, jp_environ: Any, jp_config_dir: Path, monkeypatch: pytest.MonkeyPatch,
    request: Any,
) -> None:  # fmt: skip
    """Jupyter does not merge the configuration of an application whose linking fails."""

    def fail(*_: Any) -> None:
        raise RuntimeError("simulated")

    (jp_config_dir / "jupyter_lab_config.json").write_text(AS_JSON[1])
    (point,) = sys.modules[application[0]]._jupyter_server_extension_points()
    monkeypatch.setattr(point["app"], "parse_command_line", fail)
    settings = request.getfixturevalue("jp_serverapp").web_app.settings
    await eventually(lambda: CONTROLLER in settings, "the extension starts")
    assert settings[CONTROLLER].limits.defaults["enabled"] is False


BROKEN = "no_such_extension_here"


@pytest.mark.parametrize(
    ("broken", "name", "text", "refused"),
    [
        (True, "jupyter_lab_config.json", AS_JSON[1], True),
        (True, "jupyter_lab_config.py", AS_PYTHON[1], True),
        (True, "jupyter_dashboards_config.py", AS_PYTHON[1], True),
        (True, "jupyter_lab_config.py", "c.AutoShutdown.enabled =", True),
        (True, "jupyter_lab_config.py", "c.ServerApp.port = 8890", False),
        (True, "notes.json", AS_JSON[1], False),
        (True, "jupyter_server_config.json", AS_JSON[1], False),
        (True, "jupyter_auto_shutdown_config.json", AS_JSON[1], False),
        (True, "jupyter_my_dashboards_config.json", AS_JSON[1], False),
        (False, "jupyter_lab_config.json", AS_JSON[1], False),
    ],
)
@pytest.mark.parametrize("application", [OTHER], indirect=True)
async def test_file_of_application_that_cannot_be_imported_is_not_ignored(
    application: Any, broken: bool, name: str, text: str, refused: bool, jp_environ: Any,
    jp_config_dir: Path, jp_server_config: Any, request: Any,
) -> None:  # fmt: skip
    jp_server_config["ServerApp"]["jpserver_extensions"][BROKEN] = broken
    path = jp_config_dir / name
    path.write_text(text)
    settings = request.getfixturevalue("jp_serverapp").web_app.settings
    await eventually(
        lambda: CONTROLLER in settings or why_not_started(settings) is not STARTING,
        "the start ends",
    )
    assert (CONTROLLER not in settings) is refused
    if refused:
        answer = why_not_started(settings)
        assert str(path) in answer.message
        assert BROKEN in answer.message


@pytest.mark.parametrize(
    ("of_administrator", "place", "refused"),
    [
        (None, "user", True),
        ({}, "user", True),
        # Otherwise a user could stop the extension with a broken one.
        (SETTINGS, "user", False),
        (SETTINGS, "env", True),
    ],
)
def test_unread_file_of_a_user_does_not_count_beside_an_administrators(
    of_administrator: dict[str, Any] | None, place: str, refused: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    directories = [tmp_path / "user", tmp_path / "env"]
    monkeypatch.setattr(provenance, "jupyter_config_dir", lambda: str(directories[0]))
    monkeypatch.setattr(provenance.Path, "home", lambda: directories[0])
    for directory in directories:
        directory.mkdir()
    if of_administrator is not None:
        text = json.dumps({"AutoShutdown": of_administrator})
        (directories[1] / "jupyter_server_config.json").write_text(text)
    (tmp_path / place / "jupyter_lab_config.json").write_text(AS_JSON[1])
    names = list(map(str, directories))
    files = provenance.read_files(names)
    others = provenance.read_other_files(names, "", [])
    problems = list(other_applications.unread_files([BROKEN], others, files))
    assert bool(problems) is refused


def test_order_of_files_is_that_of_linking(tmp_path: Path) -> None:
    """The values of an application that is linked earlier win."""
    names = ["jupyter_aa_config", provenance.EXTENSION_FILE, "jupyter_lab_config"]
    for name in [*names, "jupyter_config", "jupyter_server_config", "jupyter_unlinked_config"]:
        (tmp_path / f"{name}.json").write_text("{}")
    files = provenance.read_files([str(tmp_path)], "", [*names, "jupyter_config", "", names[0]])
    assert [file.path.stem for file in files] == [
        "jupyter_lab_config",
        "jupyter_auto_shutdown_config",
        "jupyter_aa_config",
        "jupyter_config",
        "jupyter_server_config",
    ]


def test_well_known_files_are_those_of_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_applications, "find_spec", lambda name: name != "jupyterlab" or None)
    assert other_applications.well_known_files() == [
        provenance.EXTENSION_FILE,
        "jupyter_notebook_config",
    ]

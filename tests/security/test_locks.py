"""The administrator's locks and limits hold, whatever a user writes into files or sends. And which
configuration files count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.config import precedence, provenance
from auto_shutdown.config.effective import merge
from auto_shutdown.config.loading import configured_limits
from auto_shutdown.config.settings import FIELDS, Limits
from auto_shutdown.config.traits import FOLLOW_IDLE_TIMEOUT, AdminTraits
from auto_shutdown.core.model import Kernel


def _write(path: Path, section: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(section if isinstance(section, str) else json.dumps({"AutoShutdown": section}))


@pytest.fixture
def admin(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "jupyter"


def _read(*directories: Path, home: Path, **given: Any) -> Any:
    """The section in force if ``home`` also has a file, with any content."""
    (home / "jupyter_server_config.py").parent.mkdir(parents=True, exist_ok=True)
    (home / "jupyter_server_config.py").touch()
    files = provenance.read_files([str(home), *map(str, directories)])
    return precedence.overruling_section(precedence.evaluated(files), given)


async def _configured(*directories: Path) -> tuple[Limits, list[str]]:
    """The limits of a server with these directories that has JupyterLab. The user wrote
    ``enabled=false``."""

    async def run(function: Any, *args: Any) -> Any:
        return function(*args)

    return await configured_limits(
        AdminTraits(enabled=False),
        run,
        directories=[str(directory) for directory in directories],
        config_file="",
        extension_files=[provenance.EXTENSION_FILE, "jupyter_lab_config"],
        merged=[Config({provenance.SECTION: {"enabled": False}})],
        command_lines=[],
        loaded=None,
    )


NAMES = AdminTraits.class_trait_names(config=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class TestWhoseConfiguration:
    @pytest.mark.parametrize(
        "file",
        [
            "jupyter_config.json",
            "jupyter_server_config.json",
            "jupyter_server_config.d/any.json",
            "jupyter_auto_shutdown_config.json",
        ],
    )
    def test_every_jupyter_configuration_file_is_read(
        self, file: str, admin: Path, home: Path
    ) -> None:
        _write(admin / file, {"grace_minutes": 3})
        assert _read(admin, home=home) == {"grace_minutes": 3}

    def test_python_configuration_file_is_read(self, admin: Path, home: Path) -> None:
        _write(admin / "jupyter_server_config.py", "c.AutoShutdown.locked = ['enabled']")
        assert _read(admin, home=home) == {"locked": ["enabled"]}

    def test_python_file_that_does_not_name_the_extension_is_not_run(
        self, admin: Path, home: Path
    ) -> None:
        _write(admin / "jupyter_config.py", "1 / 0")
        _write(admin / "jupyter_server_config.json", {"grace_minutes": 3})
        assert _read(admin, home=home) == {"grace_minutes": 3}

    def test_python_file_may_add_to_a_default(self, admin: Path, home: Path) -> None:
        _write(admin / "jupyter_config.py", "c.AutoShutdown.locked.append('enabled')")
        app = AdminTraits()
        precedence.set_traits(app, NAMES, _read(admin, home=home))
        assert app.locked == ["enabled"]

    @pytest.mark.parametrize(
        "text",
        [
            "if False:\n    c.AutoShutdown.idle_timeout_minutes = 30",
            "c.ServerApp.port = 8888\nPACKAGES = ['AutoShutdown']",
            "print(c.AutoShutdown.enabled)",
        ],
        ids=["condition", "string", "reads"],
    )
    @pytest.mark.parametrize("file", ["jupyter_server_config.py", "jupyter_lab_config.py"])
    async def test_python_file_that_sets_nothing_leaves_the_users_file_in_force(
        self, file: str, text: str, admin: Path, home: Path
    ) -> None:
        _write(admin / file, text)
        users = home / "jupyter_server_config.json"
        _write(users, {"enabled": False})
        limits, ignored = await _configured(home, admin)
        assert (limits.defaults["enabled"], ignored) == (False, [])
        assert limits.sources == {"enabled": str(users)}
        _write(users, "{")
        with pytest.raises(TraitError, match=str(users)):
            await _configured(home, admin)
        # Another file of the administrator overrules the user's file.
        _write(admin / "jupyter_config.json", {"dry_run": True})
        limits, _ = await _configured(home, admin)
        assert (limits.defaults["enabled"], limits.defaults["dry_run"]) == (True, True)
        assert limits.sources == {"dry_run": str(admin / "jupyter_config.json")}

    def test_first_directory_wins_for_each_trait(self, tmp_path: Path, home: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        _write(one / "jupyter_server_config.json", {"grace_minutes": 1})
        _write(two / "jupyter_server_config.json", {"grace_minutes": 2, "dry_run": True})
        assert _read(one, two, home=home) == {"grace_minutes": 1, "dry_run": True}

    @pytest.mark.parametrize("text", ["{", "c.AutoShutdown.", "c.AutoShutdown.locked = 1 / 0"])
    def test_broken_file_of_the_administrator_is_an_error(
        self, text: str, admin: Path, home: Path
    ) -> None:
        suffix = "json" if text == "{" else "py"
        path = admin / f"jupyter_server_config.{suffix}"
        _write(path, text)
        with pytest.raises(TraitError, match=str(path)):
            _read(admin, home=home)

    def test_a_broken_file_of_the_user_counts_only_where_no_administrator_speaks(
        self, admin: Path, home: Path
    ) -> None:
        path = home / "jupyter_server_config.d" / "a.json"
        _write(path, "{")
        with pytest.raises(TraitError, match=str(path)):
            _read(home=home)
        _write(admin / "jupyter_server_config.json", {"dry_run": True})
        assert _read(admin, home=home) == {"dry_run": True}

    def test_administrator_overrides_the_user_and_the_command_line_overrides_both(
        self, admin: Path, home: Path
    ) -> None:
        app = AdminTraits(
            grace_minutes=999, idle_timeout_minutes=44, locked=[], poll_interval_seconds=7
        )
        _write(admin / "jupyter_config.json", {"idle_timeout_minutes": 33, "locked": ["dry_run"]})
        section = _read(admin, home=home, poll_interval_seconds=7)
        ignored = precedence.set_traits(app, NAMES, section)
        assert set(ignored) == {"grace_minutes", "idle_timeout_minutes"}
        found = (app.idle_timeout_minutes, app.grace_minutes, app.locked, app.poll_interval_seconds)
        assert found == (33, 10, ["dry_run"], 7)

    def test_bad_value_in_a_file_is_reported(self) -> None:
        with pytest.raises(TraitError, match="grace_minutes"):
            precedence.set_traits(AdminTraits(), NAMES, {"grace_minutes": -1})

    def test_configuration_directories_that_a_user_may_write(self, tmp_path: Path) -> None:
        home, own = tmp_path / "home", tmp_path / "elsewhere"
        link = tmp_path / "link"
        (home / ".local").mkdir(parents=True)
        link.symlink_to(home)
        theirs = [home, home / ".jupyter", home / ".local/etc/jupyter", own, link / "etc"]
        assert all(provenance.is_users(path, home, own) for path in theirs)
        assert not provenance.is_users(tmp_path / "homes", home, own)
        assert not provenance.is_users(Path("/etc/jupyter"), home, own)


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    """Only files matter for this test."""
    return {"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}}


@pytest.fixture
def files(
    jp_environ: Any, jp_env_config_path: Path, jp_config_dir: Path, tmp_path: Path, request: Any
) -> None:
    """The administrator's file beside the environment, and a user's in their home."""
    admin, user = getattr(request, "param", (None, None))
    if admin is not None:
        section = {"metadata_path": str(tmp_path / "none"), **admin}
        _write(jp_env_config_path / "jupyter_server_config.d" / "auto_shutdown_admin.json", section)
    if user is not None:
        _write(jp_config_dir / "jupyter_server_config.json", user)


async def _limits(jp_serverapp: Any) -> Limits:
    await eventually(lambda: CONTROLLER in jp_serverapp.web_app.settings, "the extension starts")
    limits: Limits = jp_serverapp.web_app.settings[CONTROLLER].limits
    return limits


LOCKED = {"idle_timeout_minutes": 33, "locked": ["idle_timeout_minutes", "enabled"]}


@pytest.mark.parametrize(
    "files",
    [
        (LOCKED, {"locked": [], "idle_timeout_minutes": 9000, "enabled": False}),
        (LOCKED, {"idle_timeout_minutes": "soon"}),
        (LOCKED, {"grace_minutes": 100000, "locked": "x"}),
        (LOCKED, None),
    ],
    indirect=True,
    ids=["unlocks", "broken", "delays", "nothing"],
)
async def test_file_in_the_home_does_not_change_settings_of_the_administrator(
    files: None, jp_serverapp: Any
) -> None:
    limits = await _limits(jp_serverapp)
    assert limits.locked == {"idle_timeout_minutes", "enabled", *FOLLOW_IDLE_TIMEOUT}
    assert (limits.defaults["idle_timeout_minutes"], limits.defaults["enabled"]) == (33, True)
    assert limits.grace_minutes == 10


@pytest.mark.parametrize("files", [(None, {"idle_timeout_minutes": 44})], indirect=True)
async def test_file_of_the_user_counts_without_configuration_of_an_administrator(
    files: None, jp_serverapp: Any
) -> None:
    assert (await _limits(jp_serverapp)).defaults["idle_timeout_minutes"] == 44


BEYOND: dict[str, Any] = {
    "enabled": False,
    "idle_timeout_minutes": 525600,
    "kernel_idle_timeout_minutes": 525600,
    "terminal_idle_timeout_minutes": 525600,
    "app_idle_timeout_minutes": 525600,
    "warn_minutes": 1440,
    "keep_terminals": True,
    "only_when_it_saves": True,
    "remember_stopped": False,
    "protect_connected": True,
    "rules": [{"kernel_name": "*", "idle_timeout_minutes": 525600}],
    "dry_run": True,
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_locked_setting_written_into_the_file_is_not_in_force(name: str) -> None:
    limits = Limits(locked=frozenset({name}))
    policy, _ = merge(limits, {name: BEYOND[name]})
    assert policy.settings[name] == limits.defaults[name]
    assert merge(limits, {})[0] == policy


@pytest.mark.parametrize("name", [n for n, f in FIELDS.items() if f.kind == "idle"])
def test_a_limit_beyond_the_cap_written_into_the_file_is_cut(name: str) -> None:
    policy, problems = merge(Limits(max_idle_timeout_minutes=480), {name: 525600})
    assert policy.settings[name] == 480
    assert [problem.field for problem in problems] == [name]


def test_kernelspec_of_a_user_does_not_override_locked_limits() -> None:
    from datetime import timedelta

    never = Kernel("k", own_limit=timedelta.max)
    locked = frozenset({"idle_timeout_minutes", "kernel_idle_timeout_minutes", "rules"})
    policy, _ = merge(Limits(locked=locked), {})
    assert policy.limit_of(never)[0] == timedelta(minutes=120)
    assert policy.limit_of(Kernel("k", own_limit=timedelta(minutes=30)))[0] == timedelta(minutes=30)
    for name in locked:  # a user who may set one of them may also set it in a kernelspec
        policy, _ = merge(Limits(locked=locked - {name}), {})
        assert policy.limit_of(never)[0] == timedelta(minutes=525600)

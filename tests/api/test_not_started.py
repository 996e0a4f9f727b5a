"""If a part of the configuration cannot be understood, the extension is not armed. Its answers name
the trait or the file, and the remedy."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import jupyter_server
import pytest
from tornado.httpclient import HTTPClientError
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.api.startup import STARTUP

DRY = '{"AutoShutdown": {"dry_run": true}}'

#: The command line; files by place (``user``, ``env``) and name; the message; the remedy. ``{}`` is
#: the directory of the user's configuration, ``{env}`` that of the environment.
ROWS: dict[str, tuple[list[str], dict[str, str], str, str]] = {
    "an option twice": (
        ["--AutoShutdown.enabled=false", "--AutoShutdown.enabled=false"],
        {},
        "AutoShutdown.enabled is given 2 times on the command line (false, false)",
        "Give --AutoShutdown.enabled once",
    ),
    "an option twice, with others behind it": (
        [
            "--AutoShutdown.warn_minutes=1",
            "--AutoShutdown.warn_minutes=2",
            "--AutoShutdown.dry_run=true",
        ],
        {},
        "AutoShutdown.warn_minutes is given 2 times on the command line (1, 2)",
        "Give --AutoShutdown.warn_minutes once",
    ),
    "a value that makes no sense": (
        ["--AutoShutdown.dry_run=perhaps"],
        {},
        "dry_run",
        "Correct it",
    ),
    "a bound": (
        ["--AutoShutdown.grace_minutes=1e12"],
        {},
        "AutoShutdown.grace_minutes must be at least 0 and at most 5256000, not 1000000000000.0",
        "Correct it",
    ),
    "an integer beyond any float": (
        [],
        {
            "user/jupyter_server_config.json": '{"AutoShutdown": {"grace_minutes": 1'
            + "0" * 400
            + "}}"
        },
        "grace_minutes",
        "Correct it",
    ),
    "a user's drop-in with a trailing comma": (
        [],
        {"user/jupyter_server_config.d/x.json": '{"AutoShutdown": {"dry_run": true,}}'},
        (
            "{}/jupyter_server_config.d/x.json is a configuration file, and its content is "
            "unknown: it is not JSON (line 1)"
        ),
        "Correct {}/jupyter_server_config.d/x.json",
    ),
    "a user's drop-in with a byte order mark": (
        [],
        {"user/jupyter_server_config.d/x.json": "\ufeff" + DRY},
        "it begins with a byte order mark (save it as UTF-8 without BOM)",
        "Correct {}/jupyter_server_config.d/x.json",
    ),
    "a user's file of the server with a trailing comma": (
        [],
        {"user/jupyter_server_config.json": '{"AutoShutdown": {"dry_run": true},}'},
        "it is not JSON (line 1)",
        "Correct {}/jupyter_server_config.json",
    ),
    "a broken file that does not name the extension": (
        [],
        {"user/jupyter_server_config.d/x.json": '{"ServerApp": {}, "AutoShut'},
        "it is not JSON (line 1)",
        "Correct {}/jupyter_server_config.d/x.json",
    ),
    "a section twice in a file": (
        [],
        {"user/jupyter_server_config.json": DRY[:-1] + ', "AutoShutdown": {"warn_minutes": 1}}'},
        "it sets AutoShutdown twice",
        "Correct {}/jupyter_server_config.json",
    ),
    "a Python file of ours that is not Python": (
        [],
        {"user/jupyter_auto_shutdown_config.py": "c.AutoShutdown.dry_run = \n"},
        "it is not Python (line 1)",
        "Correct {}/jupyter_auto_shutdown_config.py",
    ),
    "a Python file of ours that raises": (
        [],
        {"user/jupyter_auto_shutdown_config.py": "c.AutoShutdown.dry_run = True\n1 / 0\n"},
        (
            "{}/jupyter_auto_shutdown_config.py is skipped by Jupyter, with all its settings: it "
            "raises ZeroDivisionError"
        ),
        "Correct {}/jupyter_auto_shutdown_config.py",
    ),
    "a Python file of the server that raises": (
        [],
        {"user/jupyter_server_config.py": "c.AutoShutdown.dry_run = True\nimport not_there\n"},
        "it raises ModuleNotFoundError",
        "Correct {}/jupyter_server_config.py",
    ),
    "the administrator's file": (
        [],
        {"env/jupyter_server_config.d/a.json": DRY[:-1]},
        (
            "{env}/jupyter_server_config.d/a.json is the administrator's file, and its content is "
            "unknown: it is not JSON (line 1)"
        ),
        "Correct {env}/jupyter_server_config.d/a.json",
    ),
    "a misspelt trait": (
        [],
        {"env/jupyter_server_config.d/a.json": DRY.replace("dry_run", "dryrun")},
        "AutoShutdown.dryrun is configured, and there is no such trait. Did you mean dry_run?",
        "Correct the name dryrun",
    ),
    "a section in lower case": (
        [],
        {"user/jupyter_server_config.d/x.json": DRY.replace("AutoShutdown", "auto_shutdown")},
        (
            "{}/jupyter_server_config.d/x.json has a section auto_shutdown, which Jupyter ignores; "
            "it is AutoShutdown."
        ),
        "Write AutoShutdown for auto_shutdown",
    ),
    "a section in lower case in Python": (
        [],
        {"user/jupyter_server_config.py": "c.autoshutdown.dry_run = True"},
        "has a section autoshutdown, which Jupyter ignores",
        "Write AutoShutdown for autoshutdown",
    ),
    "a file that --config names and that is not there": (
        ["--config=/nowhere/mine.py"],
        {},
        (
            "/nowhere/mine.py is the file that --config names, and its content is unknown: it "
            "cannot be read (No such file or directory)"
        ),
        "Correct /nowhere/mine.py",
    ),
    "locked, and no setting of that name": (
        ["--AutoShutdown.locked=['dryrun']"],
        {},
        "On the command line write --AutoShutdown.locked=dry_run, once for each name.",
        "Correct it",
    ),
}


#: With one of these files, the server of Studio Classic (2.0.0rc3) itself does not start.
REFUSED_BY_OLD_SERVERS = {
    "a user's drop-in with a trailing comma",
    "a user's drop-in with a byte order mark",
    "a user's file of the server with a trailing comma",
    "a broken file that does not name the extension",
    "the administrator's file",
}


@pytest.fixture(params=ROWS)
def row(request: Any) -> Any:
    if request.param in REFUSED_BY_OLD_SERVERS and jupyter_server.__version__ == "2.0.0rc3":
        pytest.skip("this server refuses the file before it loads any extension")
    return ROWS[request.param]


@pytest.fixture
def jp_argv(row: Any) -> list[str]:
    return list(row[0])


@pytest.fixture
def jp_server_config(
    row: Any, tmp_path: Path, jp_environ: Any, jp_env_config_path: Path, jp_config_dir: Path
) -> dict[str, Any]:
    for name, text in row[1].items():
        place, _, rest = name.partition("/")
        path = {"user": jp_config_dir, "env": jp_env_config_path}[place] / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {
        "ServerApp": {"jpserver_extensions": {"auto_shutdown": True}},
        "AutoShutdown": {
            "state_dir": str(tmp_path / "state"),
            "metadata_path": str(tmp_path / "none.json"),
        },
    }


async def test_extension_does_not_start_on_bad_configuration_and_names_the_remedy(
    row: Any,
    jp_serverapp: Any,
    jp_fetch: Any,
    jp_env_config_path: Path,
    jp_config_dir: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = jp_serverapp.web_app.settings
    (extension,) = jp_serverapp.extension_manager.extension_apps["auto_shutdown"]
    if not extension.log.propagate:  # on older servers
        extension.log.addHandler(caplog.handler)
    await eventually(lambda: STARTUP in settings or CONTROLLER in settings, "the start is over")
    assert CONTROLLER not in settings, "armed on a configuration that was not understood"
    with pytest.raises(HTTPClientError) as caught:
        await jp_fetch("auto-shutdown", "status")
    answer = json.loads(caught.value.response.body)
    assert caught.value.code == 503
    assert "Retry-After" not in caught.value.response.headers, "waiting does not help"
    message, remedy = (
        text.replace("{}", str(jp_config_dir)).replace("{env}", str(jp_env_config_path))
        for text in row[2:]
    )
    assert answer["message"].startswith("auto_shutdown could not start, and removes nothing. ")
    assert message in answer["message"]
    assert remedy in answer["remedy"]
    lines = [r.getMessage() for r in caplog.records if "could not start" in r.getMessage()]
    assert lines == [f"{answer['message']} {answer['remedy']}"]
    assert not (Path(jp_serverapp.root_dir).parent / "state").exists()


class TestWhileItStarts:
    @pytest.fixture
    def row(self) -> Any:
        return [], {}, "", ""

    async def test_requests_during_the_start_are_answered_503_with_retry_after(
        self, jp_serverapp: Any, jp_fetch: Any
    ) -> None:
        settings = jp_serverapp.web_app.settings
        await eventually(lambda: CONTROLLER in settings, "the extension starts")
        controller = settings.pop(CONTROLLER)
        try:
            with pytest.raises(HTTPClientError) as caught:
                await jp_fetch("auto-shutdown", "status")
        finally:
            settings[CONTROLLER] = controller
        assert caught.value.code == 503
        assert caught.value.response.headers["Retry-After"] == "2"
        assert json.loads(caught.value.response.body) == {
            "message": "auto_shutdown is starting on this server.",
            "message_parts": [
                {"text": "auto_shutdown is starting on this server.", "arguments": []}
            ],
            "remedy": "Try again in a few seconds.",
            "remedy_parts": [{"text": "Try again in a few seconds.", "arguments": []}],
        }
        assert (await jp_fetch("auto-shutdown", "status")).code == 200


class TestWhatIsUnderstood:
    @pytest.fixture
    def row(self) -> Any:
        argv = [
            "--AutoShutdown.locked=['dry_run']",
            "--AutoShutdown.kernel_idle_timeout_minutes=60",
            "--AutoShutdown.max_busy_minutes=null",
        ]
        files = {
            # Neither file configures anything. Jupyter does not list them as loaded, and it does
            # not list a broken file.
            "user/jupyter_server_config.py": "# c.AutoShutdown.dry_run = True",
            "user/jupyter_auto_shutdown_config.py": "if False:\n    c.AutoShutdown.dry_run = True",
            "user/jupyter_server_config.json": "{}",
        }
        return argv, files, "", ""

    async def test_extension_starts_on_unusual_but_valid_configuration(
        self, jp_serverapp: Any, jp_fetch: Any
    ) -> None:
        settings = jp_serverapp.web_app.settings
        await eventually(lambda: CONTROLLER in settings, "the extension starts")
        answer = json.loads((await jp_fetch("auto-shutdown", "settings")).body)
        assert answer["locked"] == ["dry_run"]
        assert answer["settings"]["kernel_idle_timeout_minutes"] == 60


@pytest.fixture(autouse=True)
def _all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

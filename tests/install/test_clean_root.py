"""The generated scripts, run for real in a clean root without a network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clean_root import CONFIGURATION, SERVER, CleanRoot, make_environment, possible

from auto_shutdown import __version__
from auto_shutdown.install.lifecycle import Previous, Script
from auto_shutdown.install.names import ENVIRONMENTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(possible()), reason=possible() or "-"),
]

WHEEL = f"/opt/wheels/jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"
ADMIN = {"dry_run": True, "locked": ["dry_run"], "idle_timeout_minutes": 60}
OURS = {f"jupyterlab-auto-shutdown=={__version__}"}

RESTART = "supervisorctl -c /etc/supervisor/conf.d/supervisord.conf restart jupyterlabserver"

Make = Callable[..., CleanRoot]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("environment") / "conda"
    return make_environment(place, sys.executable, "jupyter_server", "boto3")


@pytest.fixture
def make_root(tmp_path: Path, environment: Path, wheel: Path) -> Make:
    def make(platform: str = "jupyter-server", **more: Any) -> CleanRoot:
        root = CleanRoot(tmp_path / "root", environment, ENVIRONMENTS[platform], **more)
        root.path(WHEEL).parent.mkdir()
        shutil.copy(wheel, root.path(WHEEL))
        return root

    return make


def script(platform: str = "jupyter-server", **more: Any) -> str:
    return Script(platform, **{"source": WHEEL, "configuration": ADMIN, **more}).render()


def server(root: CleanRoot, *paths: str) -> dict[str, Any]:
    """Start a server of the environment as the user, and return its answers to these paths."""
    answers: dict[str, Any] = json.loads(root.python("-c", SERVER, *paths).splitlines()[-1])
    return answers


def assert_host_untouched(root: CleanRoot, before: set[str]) -> None:
    assert root.packages() == before
    assert "started" in server(root)["api/status"]


def test_script_installs_on_studio_classic_and_restarts_an_unused_server(make_root: Make) -> None:
    root = make_root()
    before = root.packages()
    text = script()
    done = root.start_beside_server(text, [])
    assert done.returncode == 0, done.stdout
    assert f"{__version__} installed in {ENVIRONMENTS['jupyter-server']}" in done.stdout
    assert "it is restarted as soon as no kernel and no terminal runs in it" in done.stdout
    assert root.packages() == before | OURS
    assert RESTART in root.calls()
    report = server(root, "auto-shutdown/status")["auto-shutdown/status"]
    assert {name: report["policy"][name] for name in ADMIN} == ADMIN
    assert report["health"]["armed"] is False  # a dry run

    tree, calls = root.tree(), root.calls()
    again = root.start(text)
    assert again.returncode == 0
    assert f"{__version__} is installed already" in again.stdout
    assert root.tree() == tree
    assert root.calls() == calls


def test_users_cannot_edit_the_configuration(make_root: Make) -> None:
    root = make_root()
    away(root.path(WHEEL))  # the test needs only the configuration
    root.start(script())
    path = root.path(CONFIGURATION)
    assert json.loads(path.read_text()) == {"AutoShutdown": ADMIN}
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (0, 0o644)
    for command in ("echo {} >", "rm -f", "touch", "mv -f /etc/passwd"):
        assert root.run("bash", "-c", f"{command} /{CONFIGURATION}").returncode != 0
    root.start(script(configuration={"dry_run": False}))
    assert json.loads(path.read_text()) == {"AutoShutdown": {"dry_run": False}}
    assert root.start(script(configuration={})).returncode == 0
    assert not path.exists()


def test_without_root_rights_the_configuration_is_written_into_the_environment(
    make_root: Make,
) -> None:
    root = make_root()
    away(root.path(WHEEL))  # the test needs only the configuration
    root.path("/opt/tools/bin/sudo").unlink()
    done = root.start(script())
    assert "no root rights here" in done.stdout
    file = Path(ENVIRONMENTS["jupyter-server"], "etc", *Path(CONFIGURATION).parts[1:])
    assert json.loads(root.path(str(file)).read_text()) == {"AutoShutdown": ADMIN}


def test_a_server_in_which_a_kernel_runs_is_not_restarted(make_root: Make) -> None:
    """A user may start a kernel before the installation ends, and must not lose it."""
    root = make_root()
    done = root.start_beside_server(script(), ["kernel"])
    assert done.returncode == 0, done.stdout
    assert root.path("/opt/tools/asked").read_text().count("/jupyter/default/api/kernels") > 1
    assert RESTART not in root.calls()


def test_script_installs_on_a_notebook_instance(make_root: Make) -> None:
    root = make_root("notebook-instance", user="0:0", home="/root")
    done = root.start(script("notebook-instance"))
    assert done.returncode == 0, done.stdout
    assert root.packages() >= OURS
    assert root.path(CONFIGURATION).exists()
    # The server does not answer, so it may have kernels, and the script does not restart it.
    assert root.calls() == ["systemctl --quiet is-active jupyter-server.service"]


def test_a_space_whose_server_has_not_begun_needs_no_restart(make_root: Make) -> None:
    root = make_root("jupyterlab")
    root.tool("supervisorctl", "#!/bin/bash\necho 'jupyterlabserver STOPPED'\nexit 3\n")
    assert root.start(script("jupyterlab")).returncode == 0
    assert root.packages() >= OURS
    assert root.calls() == []


def test_files_and_variables_of_users_do_not_affect_the_script(make_root: Make) -> None:
    variables = {"PIP_USER": "1", "PIP_TARGET": "/tmp/elsewhere", "PYTHONPATH": "/tmp"}
    root = make_root(variables=variables)
    root.write("/home/sagemaker-user/.config/pip/pip.conf", "[install]\nuser = true\n")
    root.write("/tmp/importlib.py", "raise SystemExit('caught')\n")
    # The pip of a venv ignores this mark, but it must know the option that the script then uses.
    root.write(f"{ENVIRONMENTS['jupyter-server']}/lib/python3.0/EXTERNALLY-MANAGED", "")
    root.start(script())
    where = root.python("-I", "-c", "import auto_shutdown; print(auto_shutdown.__file__)")
    assert where.startswith(ENVIRONMENTS["jupyter-server"])


def test_script_installs_the_wheel_from_s3(make_root: Make, wheel: Path) -> None:
    variables = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    root = make_root(variables=variables)
    shutil.copytree(root.path("/opt/wheels"), root.path("/opt/s3/bucket/some/folder"))
    source = f"s3://bucket/some/folder/{wheel.name}"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    python = f"{ENVIRONMENTS['jupyter-server']}/bin/python"
    root.tool(
        "with-s3",
        f"""#!/bin/bash
        {python} -m http.server --directory /opt/s3 --bind 127.0.0.1 9000 > /dev/null 2>&1 &
        until echo 2> /dev/null > /dev/tcp/127.0.0.1/9000; do sleep 0.1; done
        "$@"; kill %1
        """,
    )
    started = [
        "with-s3",
        *root.start_line(script(source=source, sha256=digest, region="us-west-2")),
    ]
    assert f"{__version__} installed in" in root.run(*started).stdout
    assert root.packages() >= OURS


def test_missing_s3_object_installs_nothing(make_root: Make) -> None:
    variables = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "local"}
    root = make_root(variables=variables)
    source = f"s3://bucket/{Path(WHEEL).name}"
    done = root.start(script(source=source))
    assert (done.returncode, f"not installed from {source}: " in done.stdout) == (0, True)
    assert "PartialCredentialsError" in done.stdout
    assert "Traceback" not in done.stdout


# -- what goes wrong ------------------------------------------------------------------------------


def torn(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:20_000])


def loads_not(wheel: Path) -> None:
    """A wheel that installs, and whose code cannot be imported."""
    entries = {}
    with zipfile.ZipFile(wheel) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    entries["auto_shutdown/extension.py"] = b"import no_such_module\n"
    with zipfile.ZipFile(wheel, "w") as new:
        for name, content in entries.items():
            if name.endswith("RECORD"):
                content = re.sub(rb"(auto_shutdown/extension.py),.*", rb"\1,,", content)
            new.writestr(name, content)


def away(wheel: Path) -> None:
    wheel.unlink()


@pytest.mark.parametrize("spoil", [torn, loads_not, away], ids=lambda f: f.__name__)
def test_a_broken_wheel_leaves_the_server_starting(
    make_root: Make, spoil: Callable[[Path], None]
) -> None:
    root = make_root()
    before = root.packages()
    spoil(root.path(WHEEL))
    done = root.start(script())
    assert done.returncode == 0
    assert f"not installed from {WHEEL}: " in done.stdout
    assert "stays" not in done.stdout
    assert_host_untouched(root, before)


def test_unreachable_index_installs_nothing(make_root: Make) -> None:
    root = make_root()
    before = root.packages()
    source = f"jupyterlab-auto-shutdown=={__version__}"
    done = root.start(script(source=source, index_url="http://127.0.0.1:9/simple"))
    assert (done.returncode, "not installed from" in done.stdout) == (0, True)
    assert root.packages() == before


def test_wheel_with_another_digest_is_not_installed(make_root: Make) -> None:
    root = make_root()
    before = root.packages()
    done = root.start(script(sha256="0" * 64))
    assert (done.returncode, "not installed from" in done.stdout) == (0, True)
    assert root.packages() == before


def test_broken_update_keeps_the_installed_version(make_root: Make) -> None:
    root = make_root()
    root.start(script())
    newer = WHEEL.replace(__version__, "9.9.9")
    root.path(newer).write_bytes(b"no wheel")
    done = root.start(script(source=newer))
    assert (done.returncode, "not installed from" in done.stdout) == (0, True)
    assert f"{__version__}, which was installed before, stays" in done.stdout
    assert root.packages() >= OURS


def test_hanging_installation_ends_at_its_deadline(make_root: Make) -> None:
    root = make_root()
    root.path(WHEEL).unlink()
    subprocess.run(["mkfifo", root.path(WHEEL)], check=True)  # nobody ever writes into it
    done = root.start(script().replace("DEADLINE=180", "DEADLINE=4"))
    assert (done.returncode, "not installed from" in done.stdout) == (0, True)


def test_a_configuration_that_cannot_be_written_arms_nothing(make_root: Make) -> None:
    root = make_root()
    before = root.packages()
    root.path("/opt/tools/bin/sudo").unlink()
    prefix = ENVIRONMENTS["jupyter-server"]
    shutil.rmtree(root.path(f"{prefix}/etc"), ignore_errors=True)
    root.write(f"{prefix}/etc", "in the way")
    done = root.start(script())
    assert (done.returncode, "nothing is installed" in done.stdout) == (0, True)
    assert root.packages() == before


@pytest.mark.parametrize(
    ("prefix", "variables", "words"),
    [
        ("/opt/elsewhere", {}, "there is no Python 3.9 or newer"),
        (None, {"SAGEMAKER_RECOVERY_MODE": "true"}, "recovery mode"),
    ],
)
def test_script_changes_nothing_where_it_does_not_apply(
    make_root: Make, prefix: str | None, variables: dict[str, str], words: str
) -> None:
    root = make_root(variables=variables)
    before = root.tree()
    done = root.start(script(environment=prefix or ""))
    assert (done.returncode, words in done.stdout) == (0, True)
    assert root.tree() == before


def test_previous_script_runs_first_and_its_exit_code_is_kept(make_root: Make) -> None:
    root = make_root(variables={"PYTHONPATH": "/of/the/image"})
    old = b"#!/bin/bash\necho 'the old one: it''s \"me\"' $PYTHONPATH\nexit 3\n"
    done = root.start(script(previous=Previous("arn:aws:sagemaker:old", old)))
    assert done.returncode == 3
    assert done.stdout.index('the old one: its "me" /of/the/image') < done.stdout.index(
        "installed in"
    )
    assert root.packages() >= OURS

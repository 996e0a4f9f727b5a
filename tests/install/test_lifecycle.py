"""The text of the scripts: SageMaker's limits, and the options that are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_shutdown import __version__
from auto_shutdown.install.errors import UsageError
from auto_shutdown.install.lifecycle import (
    MOST_BYTES,
    Previous,
    Script,
    read_script,
)
from auto_shutdown.install.names import ENVIRONMENTS

WHEEL = "/opt/jupyterlab_auto_shutdown-0.1.0-py3-none-any.whl"
RULES = [{"instance_type": f"ml.g{n}.*", "idle_timeout_minutes": 30 + n} for n in range(20)]
PREVIOUS = Previous(
    "arn:aws:sagemaker:x:1:studio-lifecycle-config/old", b"#!/bin/bash\necho 'old'\n"
)

EVERYTHING = {
    "source": "s3://bucket/folder/jupyterlab_auto_shutdown-0.1.0-py3-none-any.whl",
    "sha256": "a" * 64,
    "region": "us-gov-west-1",
    "configuration": {"rules": RULES, "locked": ["rules", "dry_run"], "state_dir": 'it\'s "$HOME"'},
    "previous": PREVIOUS,
}


@pytest.mark.parametrize("platform", ENVIRONMENTS)
@pytest.mark.parametrize("more", [{}, EVERYTHING], ids=["plain", "everything"])
def test_script_meets_the_demands_of_sagemaker(
    platform: str, more: dict[str, Any], tmp_path: Path
) -> None:
    text = Script(platform, **more).render()
    assert text.startswith("#!/bin/bash\n")
    assert "\r" not in text
    assert text.endswith("\n")
    assert text.isascii()
    assert len(text.encode()) < MOST_BYTES
    path = tmp_path / "on-start.sh"
    path.write_text(text)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    checked = subprocess.run([shellcheck, path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


@given(st.dictionaries(st.sampled_from(["state_dir", "space_name"]), st.text(), min_size=1))
def test_any_text_of_the_configuration_survives_bash(configuration: dict[str, str]) -> None:
    configuration = {k: v.replace("\0", "") for k, v in configuration.items()}
    head = Script("jupyterlab", configuration=configuration).render().split("\n\n#")[0]
    shown = subprocess.run(
        ["bash", "-c", f'{head}\nprintf %s "$CONFIGURATION"'], capture_output=True, check=True
    )
    assert json.loads(shown.stdout) == {"AutoShutdown": configuration}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"source": "jupyterlab-auto-shutdown"}, "is not valid. Give s3://"),
        ({"source": "jupyterlab-auto-shutdown>=0.1"}, "is not valid. Give s3://"),
        ({"source": "https://example.com/x.whl"}, "is not valid. Give s3://"),
        ({"source": "other==1.0"}, "is not valid. Give s3://"),
        ({"source": "s3://bucket/other-1.0-py3-none-any.whl"}, "the wheel's own name"),
        ({"source": f"s3://{WHEEL[5:]}"}, "the wheel's own name"),
        ({"source": f"/a\nb{WHEEL}"}, "cannot be printed"),
        ({"sha256": "A" * 64}, "64 hexadecimal digits"),
        ({"environment": "conda"}, "absolute path"),
        ({"environment": "/opt/$(id)"}, "absolute path"),
        ({"region": "us-west-2; id"}, "not the name of an AWS region"),
        ({"index_url": "ftp://example.com/simple"}, "an http or https address"),
        ({"index_url": "https://me:secret@example.com/simple"}, "contains credentials"),
        ({"index_url": "https://example.com/simple", "source": WHEEL}, "is for a requirement"),
        ({"configuration": {"idle_timeout": 5}}, "has no trait 'idle_timeout'"),
        (
            {"configuration": {"idle_timeout_minutes": 5}},
            "idle_timeout_minutes must be at least 10",
        ),
        ({"configuration": {"locked": ["dryrun"]}}, "no setting 'dryrun'"),
        ({"configuration": {"state_dir": "x" * MOST_BYTES}}, "SageMaker accepts fewer than 12288"),
    ],
)
def test_a_script_that_cannot_work_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Script("jupyterlab", **more).render()
    assert words in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_version_of_a_script_is_that_of_its_source() -> None:
    assert f"\nVERSION={__version__}\n" in Script("jupyterlab").render()
    assert "\nVERSION=7.8.9\n" in Script("jupyterlab", WHEEL.replace("0.1.0", "7.8.9")).render()


@pytest.mark.parametrize("platform", ENVIRONMENTS)
@pytest.mark.parametrize(
    "more",
    [
        {},
        EVERYTHING,
        {"environment": "/opt/other", "index_url": "https://example.com/simple"},
        {"replaces": "auto-shutdown-jupyterlab-0-1-0-abc", "as_code": True},
        {"configuration": {"state_dir": "it's\n\nPREVIOUS=x\n# Replaces: y"}},
    ],
    ids=str,
)
def test_written_script_can_be_parsed(platform: str, more: dict[str, Any]) -> None:
    script = Script(platform, **more)
    assert read_script(script.render()) == script


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/bash\necho hello\n",
        "",
        "#!/bin/bash\n# auto_shutdown 1\nPLATFORM='x\n\n",
        "#!/bin/bash\n# auto_shutdown 1\nPLATFORM=x\n\n",
    ],
)
def test_any_other_script_is_not_ours(text: str) -> None:
    assert read_script(text) is None

"""The types of the panel follow the HTTP contract: the same names, none more, none less."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from auto_shutdown.core.signals import Signal

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "labextension" / "src" / "model"
TYPES = (MODEL / "types.ts").read_text()
SPEC: dict[str, Any] = yaml.safe_load((ROOT / "auto_shutdown" / "api" / "rest-api.yml").read_text())
SCHEMAS = SPEC["components"]["schemas"]
REPORT = SCHEMAS["Report"]["properties"]


def fields(interface: str) -> set[str]:
    """The names in ``export interface …``; what is optional there has a question mark."""
    match = re.search(rf"^export interface {interface}\b[^{{]*{{\n(.*?)^}}", TYPES, re.M | re.S)
    assert match, f"types.ts has no {interface}"
    return set(re.findall(r"^  (\w+\??):", match[1], re.M))


SAME = {
    "IResource": REPORT["resources"]["items"]["required"],
    "IHealth": REPORT["health"]["required"],
    "IFault": REPORT["health"]["properties"]["faults"]["items"]["required"],
    "IOutcome": SCHEMAS["Outcome"]["required"],
    "IHold": SCHEMAS["KeepAlive"]["required"],
    "ISettings": SCHEMAS["SettingsPatch"]["properties"],
    "ISettingsAnswer": SPEC["components"]["responses"]["Settings"]["content"]["application/json"][
        "schema"
    ]["required"],
}


@pytest.mark.parametrize("interface", SAME)
def test_panel_interfaces_have_the_names_of_the_contract(interface: str) -> None:
    missing = set(SAME[interface]) - {name.rstrip("?") for name in fields(interface)}
    assert not missing, f"types.ts lacks {missing}"
    unknown = fields(interface) - set(SAME[interface])
    assert {name for name in unknown if not name.endswith("?")} == set()


def test_panel_names_only_report_fields_that_it_shows() -> None:
    shown = {name.rstrip("?") for name in fields("IReport")}
    assert shown <= set(SCHEMAS["Report"]["required"])
    assert {"kind"} <= fields("IPlatform") & set(REPORT["platform"]["required"])


def test_panel_knows_all_health_states_and_outcomes() -> None:
    states = re.search(r"state: ('ok'[^;]*);", TYPES)
    assert states
    assert set(re.findall(r"'(\w+)'", states[1])) == set(
        REPORT["health"]["properties"]["state"]["enum"]
    )


def test_panel_has_words_for_each_signal() -> None:
    """Without them the panel does not say when the resource was last active."""
    text = (MODEL / "sentences.ts").read_text()
    function = text[text.index("function signalText") :]
    names = {value for name, value in vars(Signal).items() if name.isupper()}
    assert set(re.findall(r"case '([\w-]+)':", function[: function.index("\n}\n")])) == names

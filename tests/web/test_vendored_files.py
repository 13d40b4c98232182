"""Files of others that we ship: unchanged, listed, and with their licence."""

import hashlib
import json
import re

from tests.web.staff_app import PROJECT

VENDOR = PROJECT / "ai_gateway" / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())


def test_vendored_files_are_those_of_the_manifest() -> None:
    listed = {name: digest for row in MANIFEST for name, digest in row["files"].items()}
    there = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "manifest.json" and "LICENSE" not in path.name
    }
    assert there == listed


def test_each_vendored_folder_has_its_licence() -> None:
    folders = {name.partition("/")[0] for row in MANIFEST for name in row["files"]}
    assert all((VENDOR / folder / "LICENSE").stat().st_size > 0 for folder in folders)


def test_each_row_says_where_its_files_are_from() -> None:
    for row in MANIFEST:
        assert re.fullmatch(r"sha512-[\w+/]{86}==", row["npm_integrity"])
        assert all(f"-{row['version']}/" in name for name in row["files"])
        assert row["licence"] in {"MIT", "OFL-1.1"}


def test_what_is_inside_a_file_has_its_licence_and_notice_too() -> None:
    notices = (PROJECT / "THIRD_PARTY_NOTICES.md").read_text()
    (chart,) = (row for row in MANIFEST if row["name"] == "chart.js")
    (file,) = chart["files"]
    for name, facts in chart["embeds"].items():
        version, _, licence = facts.partition(", ")
        assert f"{name} v{version}" in (VENDOR / file).read_text()
        assert f"| {name} {version}, " in notices
        beside = VENDOR / file.partition("/")[0] / f"LICENSE-{name.strip('@').replace('/', '-')}"
        assert licence in beside.read_text()
    for row in MANIFEST:
        assert row["version"] in notices


def test_the_stylesheet_loads_what_is_there_and_nothing_from_elsewhere() -> None:
    style = (PROJECT / "ai_gateway" / "static" / "house.css").read_text()
    addresses = re.findall(r'url\("([^"]+)"\)', style)
    assert addresses
    assert all((PROJECT / "ai_gateway" / "static" / address).is_file() for address in addresses)
    assert "@import" not in style

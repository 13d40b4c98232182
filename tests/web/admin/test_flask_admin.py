"""Flask-Admin as our templates expect it: an upgrade has to look at them again."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import flask_admin
import pytest

from tests.web.staff_app import PROJECT

THEIRS = Path(flask_admin.__file__).parent / "templates" / "bootstrap4" / "admin"
OURS = PROJECT / "templates" / "admin"

OVERRIDDEN = {
    "actions.html": "685288ebd9108462ae72a04b894303142f1f6b953834295a85f4c4e8d233a514",
    "lib.html": "21a2c36fee3e19840985344119f1f84b9330b0c60c00102958e3f652d38194fb",
    "model/layout.html": "9801f7f6e21b6dfef6231ea0a2e297ff9903692e894ac1f72e84bd6dddea8cbe",
    "model/list.html": "21003d92feb9a75c9cbb3b816b2ebdd5e8479917edac2483c803561c5cfb5159",
    "model/row_actions.html": "4dc1ade152ecd029860ea8248d10d60ec558571d798ccb20017cd2cc4bb42a7d",
}
"""Each template that ours was derived from, by its SHA-256. When one differs, compare it with what
it was, take over what matters, and only then change the hash here."""


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_a_template_that_we_override_is_the_one_that_we_know(name: str) -> None:
    assert hashlib.sha256((THEIRS / name).read_bytes()).hexdigest() == OVERRIDDEN[name]
    assert (OURS / name).is_file()


def test_every_template_of_that_name_is_listed() -> None:
    theirs = {path.relative_to(THEIRS).as_posix() for path in THEIRS.rglob("*.html")}
    ours = {path.relative_to(OURS).as_posix() for path in OURS.rglob("*.html")}
    assert theirs & ours == set(OVERRIDDEN)


def test_the_pinned_version_is_of_the_line_that_was_checked() -> None:
    assert version("flask-admin").startswith("2.2.")
    pinned = (PROJECT / "requirements.txt").read_text()
    assert f"flask-admin=={version('flask-admin')}" in pinned


def test_the_notice_of_their_licence_is_kept() -> None:
    notices = (PROJECT / "THIRD_PARTY_NOTICES.md").read_text()
    assert "Copyright (c) 2014, Serge S. Koval and contributors" in notices
    assert "Redistributions of source code must retain the above copyright notice" in notices

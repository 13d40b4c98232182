"""What the own pages share: closed to strangers, their menu, and whose they are."""

from typing import Any

from flask import abort, render_template
from werkzeug.wrappers import Response

from ai_gateway.services.sign_in import SignedInUser
from ai_gateway.web.admin.staff import ask_to_log_in, current_member

BASE = "me/base.html"

MENU = (
    ("me.overview", "Overview", "chart"),
    ("me.keys", "Keys", "key"),
    ("me.clients", "Clients", "log"),
)
"""Endpoint, words and icon of each page that has a place in the menu."""


def require_log_in() -> Response | None:
    """Runs before every own page, so that one which is added later is closed too."""
    return ask_to_log_in() if current_member() is None else None


def owner() -> SignedInUser:
    """Whose page it is: of the session, whatever the request says."""
    member = current_member()
    return member.user if member else abort(401)


def render(template: str, **shown: Any) -> str:
    """Render inside the frame of the own pages; staff pages that are shared have it then too."""
    return render_template(template, admin_base_template=BASE, own_menu=MENU, **shown)

"""The home page of staff: the way in, and what is left to set up."""

import re

from flask import request
from flask_admin.base import expose

from ai_gateway.domain.roles import Permission, Role, allows
from ai_gateway.web.admin.staff import StaffView, current_member
from ai_gateway.web.context import services

_REQUEST_ID = re.compile(r"req_[0-9a-f]{32}", re.ASCII)


class HomeView(StaffView):
    """At /admin/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Home"
    address = "/admin"
    icon = "home"

    @classmethod
    def endpoint_name(cls) -> str:
        # Flask-Admin builds the addresses of its own files and menu from this name.
        return "admin"

    @expose("/")
    def index(self) -> str:
        member = current_member()
        role = member.user.role if member else Role.NONE
        return self.render(
            "admin/home.html",
            lines=services().checklist.lines(),
            base_url=request.url_root,
            may_call=allows(role, Permission.MANAGE_KEYS),
            sent=_sent(request.args.get("sent", "")),
        )


def _sent(text: str) -> str:
    """The id of a test call that was just sent; whoever typed something else sees nothing of it."""
    return text if _REQUEST_ID.fullmatch(text) else ""

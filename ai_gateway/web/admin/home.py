"""The home page of staff: the way in, and what is left to set up."""

from flask import request
from flask_admin.base import expose

from ai_gateway.domain.roles import Permission
from ai_gateway.web.admin.staff import StaffView
from ai_gateway.web.context import services


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
        return self.render(
            "admin/home.html", set_up=services().reports.set_up(), base_url=request.url_root
        )

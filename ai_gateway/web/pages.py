"""The pages for people: those of staff, and everybody's own."""

from flask import Flask

from ai_gateway.web.admin import site
from ai_gateway.web.me.site import make_blueprint


def init_app(app: Flask) -> None:
    """Put them on an application that has its services."""
    site.init_app(app)
    app.register_blueprint(make_blueprint())

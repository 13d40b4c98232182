"""The routes under /me, but for the password, which stands beside the log-in."""

from flask import Blueprint

from ai_gateway.web.admin.staff import guard
from ai_gateway.web.me import clients, keys
from ai_gateway.web.me.frame import require_log_in
from ai_gateway.web.me.overview import overview


def make_blueprint() -> Blueprint:
    """Made anew for each application."""
    blueprint = Blueprint("me", __name__, url_prefix="/me")
    guard(blueprint)
    blueprint.before_request(require_log_in)
    for rule, endpoint, view in (
        ("/", "overview", overview),
        ("/clients/", "clients", clients.clients),
        ("/keys/", "keys", keys.own_keys),
        ("/keys/new/", "key_new", keys.ask_new),
        ("/keys/rotate/", "key_rotate", keys.ask_rotate),
        ("/keys/revoke/", "key_revoke", keys.ask_revoke),
    ):
        blueprint.add_url_rule(rule, endpoint, view, methods=["GET"])
    for rule, endpoint, view in (
        ("/keys/new/", "key_create", keys.create),
        ("/keys/rotate/", "key_rotated", keys.rotate),
        ("/keys/revoke/", "key_revoked", keys.revoke),
    ):
        blueprint.add_url_rule(rule, endpoint, view, methods=["POST"])
    return blueprint

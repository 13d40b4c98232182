"""Virtual keys as tests make them: by nobody in particular, unrecorded where only SQL matters."""

from datetime import UTC, datetime

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.services.key_admin import KeyAdmin, KeyRequest
from ai_gateway.services.key_rules import KeyOptions
from ai_gateway.stores.key_acts import KeyAct

BY_COMMAND = KeyRequest(COMMAND_LINE, owner_id=None)
PLAIN_ACT = KeyAct(datetime(2026, 11, 25, 12, 0, tzinfo=UTC), lambda _: (), owner_id=None)
"""On anybody's key, with no line of the audit."""

NO_OPTIONS = KeyOptions()


def issue(admin: KeyAdmin, user_id: int, options: KeyOptions = NO_OPTIONS) -> str:
    """Make a key; returns its text."""
    text = admin.create(user_id, options, BY_COMMAND).text
    assert text is not None
    return text

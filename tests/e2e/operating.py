"""An operator who makes users with keys, within milliseconds."""

from tests.e2e.caller import Caller
from tests.running import RunningGateway


class Operator:
    """Gives `flask` commands to the running gateway."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._users = 0
        self.flask = gateway.flask

    def new_caller(
        self, *key_options: str, daily: str | None = None, monthly: str | None = None
    ) -> Caller:
        """A fresh user with one key; the user's limits are in USD."""
        self._users += 1
        name = f"caller{self._users}"
        self.flask("user", "create", name, "--email", f"{name}@example.com")
        for flag, limit in (("--daily", daily), ("--monthly", monthly)):
            if limit is not None:
                self.flask("user", "limit", name, flag, limit)
        key = self.flask("key", "create", name, *key_options).strip()
        return Caller(self._gateway, key, name)

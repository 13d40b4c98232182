"""Who asks the API by a key, and what the role of the key's owner permits."""

from ai_gateway.errors import InvalidKey
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.sign_in import SignedInUser
from ai_gateway.stores.user_directory import UserDirectory


class ApiCallers:
    """Finds the user behind a key."""

    def __init__(self, holder: KeyHolder, directory: UserDirectory) -> None:
        self._holder = holder
        self._directory = directory

    def by_key(self, credential: str) -> SignedInUser:
        """The owner of a key as the database has them now; raises `InvalidKey`."""
        owner = self._directory.find(self._holder.user_of(credential))
        if owner is None or not owner.is_enabled:
            # The copy in Redis may be older than what staff just did.
            raise InvalidKey("revoked")
        return SignedInUser(owner.user_id, owner.username, owner.email, owner.role)

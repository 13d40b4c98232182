"""Who may call, and what."""

from dataclasses import dataclass

from ai_gateway.services.key_ring import KeyRing
from ai_gateway.services.models import ModelDirectory


@dataclass(frozen=True, slots=True)
class Callers:
    """The keys, and the models that they lead to."""

    keys: KeyRing
    directory: ModelDirectory

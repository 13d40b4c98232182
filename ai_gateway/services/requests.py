"""What can be asked about requests, as one."""

from dataclasses import dataclass

from ai_gateway.services.explanation import Explanations
from ai_gateway.services.request_list import RequestList


@dataclass(frozen=True, slots=True)
class Requests:
    """Many of them, and one."""

    lists: RequestList
    explanations: Explanations

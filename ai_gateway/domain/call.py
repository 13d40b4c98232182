"""The asked call, the admitted call and the finished call: facts passed between the layers."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Literal

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.usage import Confidence, Usage, UsageStatus
from ai_gateway.domain.working import Working

JsonObject = dict[str, object]
"""A request body as parsed: opaque to all but its dialect, since it goes on as it came."""

DialectName = Literal["openai", "anthropic", "azure"]


class Operation(StrEnum):
    """What a client may ask for; a closed set, used as a metric label."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    STORED_RESPONSES = "stored_responses"
    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    MODELS = "models"


class StoredAction(StrEnum):
    """What may be done to a response that the provider keeps."""

    READ = "read"
    DELETE = "delete"
    CANCEL = "cancel"


class Outcome(StrEnum):
    """How a request ended. The refusals are never in the ledger."""

    SUCCESS = "success"
    CLIENT_ERROR = "client_error"
    AUTH_ERROR = "auth_error"
    BUDGET_BLOCKED = "budget_blocked"
    UPSTREAM_REJECTED = "upstream_rejected"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    GATEWAY_ERROR = "gateway_error"
    CANCELLED = "cancelled"

    @property
    def is_failure(self) -> bool:
        """Failures as the pages count them; a client that leaves has not failed."""
        return self in FAILURES


FAILURES = frozenset(
    {
        Outcome.UPSTREAM_REJECTED,
        Outcome.UPSTREAM_ERROR,
        Outcome.UPSTREAM_TIMEOUT,
        Outcome.GATEWAY_ERROR,
    }
)


class UpstreamResult(StrEnum):
    """What the provider did with a call, whatever became of the request; a metric label."""

    OK = "ok"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    HTTP_429 = "http_429"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    OVERLOADED = "overloaded"
    INVALID_RESPONSE = "invalid_response"
    STREAM_CUT = "stream_cut"


class StreamSide(StrEnum):
    """Who ended a stream before its time; a metric label."""

    CLIENT = "client"
    GATEWAY = "gateway"
    UPSTREAM = "upstream"


class PriceStatus(StrEnum):
    """Where the price of a call came from."""

    PRICED = "priced"
    PROVIDER_STATED = "provider_stated"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Address:
    """What the address of a call tells beside its operation.

    `deployment` is Azure's name in the path; `query` is what of the query goes on.
    """

    deployment: str | None = None
    query: tuple[tuple[str, str], ...] = ()


PLAIN_ADDRESS = Address()


@dataclass(frozen=True, slots=True)
class AskedCall:
    """What a client asked for, as its dialect read it.

    `output_cap` is the client's own, in tokens for each of `choices` answers; 0 where nothing is
    generated. `input_bytes` bounds the input tokens: a byte-level token covers at least one byte.
    `media_parts` are counted apart. `is_self_contained` is false where the provider adds input that
    we cannot see. `previous_response_id` is the stored response that the call goes on from. Where
    it is to be made may cost `surcharge_percent` more for every token.
    """

    operation: Operation
    body: JsonObject = field(repr=False)
    model: str
    stream: bool
    output_cap: int | None
    choices: int
    input_bytes: int
    media_parts: int
    service_tier: str | None
    wants_usage: bool
    is_self_contained: bool
    address: Address = PLAIN_ADDRESS
    previous_response_id: str | None = None
    surcharge_percent: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What one call adds to every sum; entries in the ledger are differences of it."""

    requests: int = 1
    failures: int = 0
    cancellations: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_long_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    web_searches: int = 0
    latency_ms: int = 0


TALLY_FIELDS = tuple(f.name for f in fields(Tally))
USAGE_FIELDS = tuple(f.name for f in fields(Usage))


@dataclass(frozen=True, slots=True)
class AdmittedCall:
    """A call that may go out: who, what, and the hold that stands for it.

    `floor_rates` are the pico-USD for a token of input and of output by which a call is booked
    whose worker vanishes; None without a price.
    """

    request_id: str
    user_id: int
    key_id: str
    provider: str
    model_requested: str
    model: str
    operation: Operation
    stream: bool
    price_row: str
    price_book: str
    accounts: tuple[Account, ...]
    held: Money
    output_cap: int | None
    admitted_at: datetime
    floor_rates: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class FinishedCall:
    """How a call ended and what it cost; `served_model` is the provider's own word.

    `overhead_us` is the gateway's own time, without the provider's; None for one never sent.
    `provider_id` is the name that the provider gave to its answer.
    """

    outcome: Outcome
    usage: Usage
    usage_status: UsageStatus
    confidence: Confidence
    price_status: PriceStatus
    price_row: str
    served_model: str
    raw_usage: str | None
    latency_ms: int
    ttft_ms: int | None
    settled_at: datetime
    cost: Money = ZERO
    overhead_us: int | None = None
    provider_id: str | None = None
    working: Working | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether it was for nothing, so that its idempotency key may be used for another try."""
        return self.usage_status is UsageStatus.NOT_BILLED

    def tally(self) -> Tally:
        return Tally(
            failures=int(self.outcome.is_failure),
            cancellations=int(self.outcome is Outcome.CANCELLED),
            unpriced=int(self.price_status is PriceStatus.UNPRICED),
            latency_ms=self.latency_ms,
            **dict(zip(USAGE_FIELDS, self.usage.counts(), strict=True)),
        )


def never_sent(call: AdmittedCall, settled_at: datetime) -> FinishedCall:
    """How a call ended whose hold stood although it was refused: it cost nothing."""
    return FinishedCall(
        outcome=Outcome.GATEWAY_ERROR,
        usage=Usage(),
        usage_status=UsageStatus.NOT_BILLED,
        confidence=Confidence.REPORTED,
        price_status=PriceStatus.PRICED if call.price_row else PriceStatus.UNPRICED,
        price_row=call.price_row,
        served_model=call.model,
        raw_usage=None,
        latency_ms=0,
        ttft_ms=None,
        settled_at=settled_at,
    )

"""The vendors that speak OpenAI's dialect, one row each.

Where the usage is, few vendors' pages say: most of this was seen in their streams and told in issue
threads (as of 2026-11). Every vendor answers at every address of OpenAI's, whether it has it or
not, so that a test of one need not know which it has.
"""

from http import HTTPStatus
from typing import Final

from simulator.models import deployed_name, served_name
from simulator.openai_errors import WRONG_KEY_WORDS
from simulator.request import JsonObject
from simulator.vendor import UsagePlace, Vendor

_FINGERPRINT: Final = "fp_simulator00"
_OPENAI_ENVELOPE: Final[JsonObject] = {
    "service_tier": "$service_tier",
    "system_fingerprint": _FINGERPRINT,
}
_SHORT_USAGE: Final[JsonObject] = {
    "prompt_tokens": "$input",
    "total_tokens": "$total",
    "completion_tokens": "$output",
}
_CACHED: Final[JsonObject] = {"prompt_tokens_details": {"cached_tokens": "$cached"}}
_REASONING: Final[JsonObject] = {"completion_tokens_details": {"reasoning_tokens": "$reasoning"}}
_FINISH_CHUNK: Final = frozenset({UsagePlace.FINISH_CHUNK})

OPENAI: Final = Vendor(
    name="openai",
    nulls=True,
    envelope=_OPENAI_ENVELOPE,
    serves=served_name,
    pads_chunks=True,
    is_strict=True,
    bad_key=WRONG_KEY_WORDS,
)

AZURE: Final = Vendor(
    name="azure",
    nulls=True,
    envelope=_OPENAI_ENVELOPE,
    serves=deployed_name,
    filters_content=True,
    is_strict=True,
)

_MISTRAL: Final = Vendor(
    name="mistral",
    usage=_SHORT_USAGE | _CACHED,
    unasked=_FINISH_CHUNK,
    asked=_FINISH_CHUNK,
    # Seen: dnakov/anon-kode#53, editor-code-assistant/eca#231.
    refused=frozenset({"stream_options", "max_completion_tokens"}),
    refusal="Extra inputs are not permitted: body.{field}",
    refusal_status=HTTPStatus.UNPROCESSABLE_ENTITY,
    bad_key="Unauthorized",
    error={
        "object": "error",
        "message": "$message",
        "type": "$kind",
        "param": "$param",
        "code": "$code",
    },
)

_GROQ: Final = Vendor(
    name="groq",
    usage={
        "queue_time": 0.021,
        **_SHORT_USAGE,
        "prompt_time": 0.004,
        "completion_time": 0.153,
        "total_time": 0.157,
        **_CACHED,
        **_REASONING,
    },
    unasked=frozenset({UsagePlace.X_GROQ}),
    asked=frozenset({UsagePlace.X_GROQ, UsagePlace.OWN_CHUNK}),
    envelope={"system_fingerprint": _FINGERPRINT, "service_tier": "on_demand"},
    reasoning_field="reasoning",
)

_DEEPSEEK: Final = Vendor(
    name="deepseek",
    usage={
        **_SHORT_USAGE,
        **_CACHED,
        **_REASONING,
        "prompt_cache_hit_tokens": "$cached",
        "prompt_cache_miss_tokens": "$uncached",
    },
    unasked=_FINISH_CHUNK,
    asked=_FINISH_CHUNK,
    nulls=True,
    envelope={"system_fingerprint": _FINGERPRINT},
    reasoning_field="reasoning_content",
    comment="keep-alive",
    blank_lines=4,
    bad_key="Authentication Fails, Your api key: {key} is invalid",
)

_XAI: Final = Vendor(
    name="xai",
    # Reasoning is beside the completion, and in the total.
    usage={
        "prompt_tokens": "$input",
        "completion_tokens": "$visible",
        "total_tokens": "$total",
        "prompt_tokens_details": {
            "text_tokens": "$input",
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": "$cached",
        },
        **_REASONING,
    },
    costs={"num_sources_used": 0, "cost_in_usd_ticks": "$ticks"},
    envelope={"system_fingerprint": _FINGERPRINT},
    reasoning_field="reasoning_content",
    error={"code": "$kind", "error": "$message"},
)

_OPENROUTER: Final = Vendor(
    name="openrouter",
    usage={**_SHORT_USAGE, **_CACHED, **_REASONING},
    costs={
        "cost": "$cost",
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": "$cost",
            "upstream_inference_prompt_cost": "$input_cost",
            "upstream_inference_completions_cost": "$output_cost",
        },
    },
    unasked=frozenset({UsagePlace.EMPTY_CHUNK}),
    asked=frozenset({UsagePlace.EMPTY_CHUNK}),
    envelope={"provider": "Simulator"},
    id_prefix="gen-",
    reasoning_field="reasoning",
    comment="OPENROUTER PROCESSING",
    bad_key="No auth credentials found",
    error={"error": {"message": "$message", "code": "$status"}},
    stream_error={
        "error": {"code": "server_error", "message": "$message"},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    },
)

_TOGETHER: Final = Vendor(
    name="together",
    usage=_SHORT_USAGE,
    unasked=_FINISH_CHUNK,
    asked=_FINISH_CHUNK,
    reasoning_field="reasoning",
)

_FIREWORKS: Final = Vendor(
    name="fireworks",
    usage=_SHORT_USAGE | _CACHED,
    unasked=_FINISH_CHUNK,
    asked=_FINISH_CHUNK,
    reasoning_field="reasoning_content",
    error={"error": {"object": "error", "type": "$kind", "code": "$code", "message": "$message"}},
)

_GEMINI: Final = Vendor(
    name="gemini",
    # Thoughts are hidden: they are in the total and nowhere else.
    usage={
        "prompt_tokens": "$input",
        "completion_tokens": "$visible",
        "total_tokens": "$total",
    },
    # Seen: ogx-ai/ogx#5122.
    asked=frozenset({UsagePlace.EVERY_CHUNK}),
    bad_key="Please pass a valid API key.",
    error=[{"error": {"code": "$status", "message": "$message", "status": "$kind"}}],
)

_CEREBRAS: Final = Vendor(
    name="cerebras",
    usage={**_SHORT_USAGE, **_CACHED},
    unasked=_FINISH_CHUNK,
    asked=_FINISH_CHUNK,
    envelope={
        "system_fingerprint": _FINGERPRINT,
        "time_info": {"queue_time": 0.0001, "prompt_time": 0.002, "completion_time": 0.02},
    },
    reasoning_field="reasoning",
    bad_key="Wrong API Key",
    error={"message": "$message", "type": "$kind", "param": "$param", "code": "$code"},
)

_PERPLEXITY: Final = Vendor(
    name="perplexity",
    # Reasoning is in no total at all.
    usage={
        "prompt_tokens": "$input",
        "completion_tokens": "$visible",
        "total_tokens": "$visible_total",
        "search_context_size": "low",
        "citation_tokens": 0,
        "num_search_queries": 1,
        "reasoning_tokens": "$reasoning",
    },
    costs={
        "cost": {
            "input_tokens_cost": "$input_cost",
            "output_tokens_cost": "$output_cost",
            "request_cost": "$search_cost",
            "total_cost": "$cost_with_search",
        }
    },
    unasked=frozenset({UsagePlace.EVERY_CHUNK}),
    asked=frozenset({UsagePlace.EVERY_CHUNK}),
    envelope={"citations": [], "search_results": []},
    error={"error": {"message": "$message", "type": "$kind", "code": "$status"}},
)

_MOONSHOT: Final = Vendor(
    name="moonshot",
    usage={**_SHORT_USAGE, "cached_tokens": "$cached"},
    unasked=frozenset({UsagePlace.CHOICE}),
    asked=frozenset({UsagePlace.CHOICE, UsagePlace.OWN_CHUNK}),
    envelope={"system_fingerprint": _FINGERPRINT},
    reasoning_field="reasoning_content",
    bad_key="Invalid Authentication",
    error={"error": {"message": "$message", "type": "$kind"}},
)

_OLLAMA: Final = Vendor(
    name="ollama",
    usage=_SHORT_USAGE,
    envelope={"system_fingerprint": "fp_ollama"},
    reasoning_field="reasoning",
    bad_key=None,
)

_VLLM: Final = Vendor(
    name="vllm",
    usage={**_SHORT_USAGE, "prompt_tokens_details": None},
    running_if_asked=True,
    reasoning_field="reasoning_content",
    bad_key=None,
    error={"error": {"message": "$message", "type": "$kind", "param": "$param", "code": "$status"}},
)

_DEEPINFRA: Final = Vendor(
    name="deepinfra",
    usage={**_SHORT_USAGE, **_CACHED},
    costs={"estimated_cost": "$cost"},
    reasoning_field="reasoning_content",
)

VENDORS: Final = {
    row.name: row
    for row in (
        OPENAI,
        _MISTRAL,
        _GROQ,
        _DEEPSEEK,
        _XAI,
        _OPENROUTER,
        _TOGETHER,
        _FIREWORKS,
        _GEMINI,
        _CEREBRAS,
        _PERPLEXITY,
        _MOONSHOT,
        _OLLAMA,
        _VLLM,
        _DEEPINFRA,
    )
}
"""The rows by the name in the path; Azure has paths of its own."""

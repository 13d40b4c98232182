"""The blueprint `/v1`: what the SDKs of OpenAI and Anthropic ask for."""

from functools import partial

from flask import Blueprint, Response, request

from ai_gateway.domain.call import PLAIN_ADDRESS, Address, Operation, StoredAction
from ai_gateway.web.calls import answered, metered, model_list, refuse_options
from ai_gateway.web.context import services

blueprint = Blueprint("gateway", __name__, url_prefix="/v1")
blueprint.before_request(refuse_options)


@blueprint.post("/chat/completions")
def chat_completions() -> Response:
    return metered("openai", Operation.CHAT)


@blueprint.post("/completions")
def completions() -> Response:
    return metered("openai", Operation.COMPLETIONS)


@blueprint.post("/embeddings")
def embeddings() -> Response:
    return metered("openai", Operation.EMBEDDINGS)


@blueprint.post("/responses")
def responses() -> Response:
    return metered("openai", Operation.RESPONSES)


@blueprint.get("/responses/<response_id>")
def read_response(response_id: str) -> Response:
    return _stored(StoredAction.READ, response_id)


@blueprint.delete("/responses/<response_id>")
def delete_response(response_id: str) -> Response:
    return _stored(StoredAction.DELETE, response_id)


@blueprint.post("/responses/<response_id>/cancel")
def cancel_response(response_id: str) -> Response:
    return _stored(StoredAction.CANCEL, response_id)


@blueprint.post("/messages")
def messages() -> Response:
    return metered("anthropic", Operation.MESSAGES, _anthropic_address())


@blueprint.post("/messages/count_tokens")
def count_tokens() -> Response:
    ask = services().free_calls.count_tokens
    return answered("anthropic", Operation.COUNT_TOKENS, ask, _anthropic_address())


@blueprint.get("/models")
def models() -> Response:
    return model_list("anthropic" if "anthropic-version" in request.headers else "openai")


def _stored(action: StoredAction, response_id: str) -> Response:
    free_calls = services().free_calls
    ask = partial(free_calls.stored_response, response_id=response_id, action=action)
    query = (("stream", "true"),) if request.args.get("stream") == "true" else ()
    return answered("openai", Operation.STORED_RESPONSES, ask, Address(query=query))


def _anthropic_address() -> Address:
    """The SDK's beta methods say so in the query; nothing else of it goes on."""
    is_beta = request.args.get("beta") == "true"
    return Address(query=(("beta", "true"),)) if is_beta else PLAIN_ADDRESS

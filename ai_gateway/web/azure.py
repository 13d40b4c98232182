"""The blueprint `/openai`: what the SDK for Azure OpenAI asks for."""

from flask import Blueprint, Response, request

from ai_gateway.domain.call import Address, Operation
from ai_gateway.web.calls import metered, model_list, refuse_options

blueprint = Blueprint("azure", __name__, url_prefix="/openai")
blueprint.before_request(refuse_options)


@blueprint.post("/deployments/<deployment>/chat/completions")
def deployed_chat_completions(deployment: str) -> Response:
    return metered("azure", Operation.CHAT, _address(deployment))


@blueprint.post("/deployments/<deployment>/embeddings")
def deployed_embeddings(deployment: str) -> Response:
    return metered("azure", Operation.EMBEDDINGS, _address(deployment))


@blueprint.post("/v1/chat/completions")
def chat_completions() -> Response:
    return metered("azure", Operation.CHAT, _address())


@blueprint.post("/v1/embeddings")
def embeddings() -> Response:
    return metered("azure", Operation.EMBEDDINGS, _address())


@blueprint.post("/v1/responses")
def responses() -> Response:
    return metered("azure", Operation.RESPONSES, _address())


@blueprint.get("/v1/models")
def models() -> Response:
    return model_list("azure")


def _address(deployment: str | None = None) -> Address:
    """The API version is all of the query that goes on."""
    version = request.args.get("api-version")
    return Address(deployment, (("api-version", version),) if version else ())

"""OpenAI's error bodies, word for word where the words are known."""

from http import HTTPStatus
from typing import Final

from simulator.wire import ApiError

INVALID_REQUEST: Final = "invalid_request_error"

_NO_KEY: Final = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header "
    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank "
    "username) if you're accessing the API from your browser and are prompted for a username and "
    "password. You can obtain an API key from https://platform.openai.com/account/api-keys."
)
_BAD_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not "
    "valid JSON. If you have trouble figuring out how to fix this, please contact us through our "
    "help center at help.openai.com.)"
)

WRONG_KEY_WORDS: Final = (
    "Incorrect API key provided: {key}. You can find your API key at "
    "https://platform.openai.com/account/api-keys."
)
_NO_ACCESS: Final = "Project `proj_simulator` does not have access to model `{model}`"
_NO_MODEL: Final = "The model `{model}` does not exist or you do not have access to it."
_RATE_LIMIT: Final = (
    "Rate limit reached for {model} in organization org-simulator on tokens per min (TPM): Limit "
    "30000, Used 29500, Requested 1250. Please try again in 1.5s. Visit "
    "https://platform.openai.com/account/rate-limits to learn more."
)
_BROKEN: Final = "The server had an error while processing your request. Sorry about that!"
OVERLOADED_WORDS: Final = "The engine is currently overloaded, please try again later"

# Status: type, message and code.
_FAILURES: Final[dict[int, tuple[str, str, str | None]]] = {
    400: (INVALID_REQUEST, "Invalid request, as the prompt asked for.", "invalid_value"),
    401: (INVALID_REQUEST, WRONG_KEY_WORDS.format(key="sk-simu****0000"), "invalid_api_key"),
    403: (INVALID_REQUEST, _NO_ACCESS, "model_not_found"),
    404: (INVALID_REQUEST, _NO_MODEL, "model_not_found"),
    429: ("tokens", _RATE_LIMIT, "rate_limit_exceeded"),
    503: ("server_error", OVERLOADED_WORDS, None),
    529: ("server_error", OVERLOADED_WORDS, None),
}


def blanks(error: ApiError) -> dict[str, object]:
    """Name what the error templates of vendors may use."""
    return {
        "status": error.status,
        "message": error.message,
        "kind": error.kind,
        "param": error.param,
        "code": error.code,
    }


def broken() -> ApiError:
    """Fail as a stream does in its middle."""
    return failure(HTTPStatus.INTERNAL_SERVER_ERROR, "")


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Refuse a request for what is in it."""
    return ApiError(
        status=HTTPStatus.BAD_REQUEST, kind=INVALID_REQUEST, message=message, param=param, code=code
    )


def bad_json() -> ApiError:
    """Refuse a body that is not a JSON object."""
    return invalid(_BAD_JSON)


def missing_key() -> ApiError:
    """Refuse a request without a credential."""
    return ApiError(status=HTTPStatus.UNAUTHORIZED, kind=INVALID_REQUEST, message=_NO_KEY)


def not_found(message: str) -> ApiError:
    """Refuse a request for what it is about, which is not there."""
    return ApiError(status=HTTPStatus.NOT_FOUND, kind=INVALID_REQUEST, message=message)


def wrong_key(words: str, key: str) -> ApiError:
    """Refuse a credential, and may show it: this is why a gateway must not pass the body on."""
    return ApiError(
        status=HTTPStatus.UNAUTHORIZED,
        kind=INVALID_REQUEST,
        message=words.format(key=key),
        code="invalid_api_key",
    )


def unknown_path(method: str, path: str) -> ApiError:
    """Refuse a path that is not there."""
    return not_found(f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str) -> ApiError:
    """Refuse a method that a path does not know."""
    return ApiError(
        status=HTTPStatus.METHOD_NOT_ALLOWED,
        kind=INVALID_REQUEST,
        message=f"Not allowed to {method} on {path} "
        "(HINT: Perhaps you meant to use a different HTTP method?)",
        code="method_not_supported",
    )


def failure(status: int, model: str) -> ApiError:
    """Fail with a status that the prompt asked for."""
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    usual = ("server_error", _BROKEN, None) if is_ours else (INVALID_REQUEST, "Refused.", None)
    kind, message, code = _FAILURES.get(status, usual)
    headers = []
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers = [("retry-after", "2"), ("retry-after-ms", "1500")]
    return ApiError(
        status=status, kind=kind, message=message.format(model=model), code=code, headers=headers
    )

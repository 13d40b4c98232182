"""The only module that knows LangSmith's SDK. Loading it takes half a second and 45 MB.

The SDK's own queue, threads and retries are all off (docs/langsmith.md says why); what goes wrong
is told by its class, since the SDK's messages have a part of the key in them.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any

from langsmith import APIError, APIStatusError, Client, Langsmith
from langsmith.utils import get_host_url
from urllib3.util import Retry

from ai_gateway.telemetry.observer import SettledCall
from ai_gateway.telemetry.tracing_access import Access, Finding
from ai_gateway.telemetry.tracing_answer import Json
from ai_gateway.telemetry.tracing_run import run_of
from ai_gateway.telemetry.tracing_sender import Delivery, Verdict

CHECK_SECONDS = 5.0

FOREIGN_VARIABLES = (
    "LANGSMITH_FAILED_TRACES_DIR",
    "LANGCHAIN_FAILED_TRACES_DIR",
    "LANGSMITH_RUNS_ENDPOINTS",
    "LANGCHAIN_RUNS_ENDPOINTS",
)
"""They would write what could not be sent to files, or send it elsewhere as well."""

_VERDICTS = {
    400: Verdict.BAD_RUN,
    422: Verdict.BAD_RUN,
    413: Verdict.TOO_LARGE,
    401: Verdict.REFUSED,
    403: Verdict.REFUSED,
    404: Verdict.REFUSED,
}


class LangSmithSink:
    """Takes finished runs; made in the worker, used by one thread."""

    def __init__(self, access: Access) -> None:
        _be_quiet()
        for name in FOREIGN_VARIABLES:
            os.environ.pop(name, None)
        self._project = access.project
        self._failure: Exception | None = None
        self._client = Client(
            access.endpoint,
            api_key=access.api_key,
            workspace_id=access.workspace_id,
            retry_config=Retry(
                total=0, raise_on_status=False, respect_retry_after_header=False, redirect=False
            ),
            auto_batch_tracing=False,
            omit_traced_runtime_info=True,
            disable_prompt_cache=True,
            # Each would be read from the environment otherwise: sampling is done, and hidden
            # metadata would have neither user nor cost.
            tracing_sampling_rate=1.0,
            hide_inputs=False,
            hide_outputs=False,
            hide_metadata=False,
            tracing_error_callback=self._remember,
        )

    def run(self, fact: SettledCall) -> Json:
        return run_of(fact, self._project)

    def send(self, runs: Sequence[Json]) -> Delivery:
        """Send a batch once; an error of the SDK comes back as a verdict, not as an exception."""
        self._failure = None
        try:
            self._client.multipart_ingest(create=[dict(run) for run in runs])
        except Exception as error:  # noqa: BLE001 - told by its class alone
            # Whatever the SDK raises, the thread that sends has to live on.
            self._failure = error
        if self._failure is None:
            return Delivery(Verdict.TAKEN)
        response = _response_of(self._failure)
        status = getattr(response, "status_code", None)
        verdict = _VERDICTS.get(status or 0, Verdict.LATER)
        return Delivery(verdict, type(self._failure).__name__, _retry_after(response))

    def _remember(self, error: Exception) -> None:
        self._failure = error


def check(access: Access) -> Finding:
    """Ask for the project with the key; waits a few seconds at most."""
    _be_quiet()
    client = Langsmith(
        api_key=access.api_key,
        tenant_id=access.workspace_id,
        base_url=_root(access.endpoint),
        timeout=CHECK_SECONDS,
        max_retries=0,
    )
    try:
        with client:
            found = next(iter(client.sessions.list_v2(name=access.project)), None)
    except APIStatusError as error:
        return Finding(error=f"{type(error).__name__} ({error.status_code})")
    except APIError as error:
        return Finding(error=type(error).__name__)
    if found is None:
        return Finding()
    web = get_host_url(None, access.endpoint)
    return Finding(project_link=f"{web}/o/{found.tenant_id}/projects/p/{found.id}")


def _be_quiet() -> None:
    """The SDK's own lines quote a part of the key, and the text of errors."""
    logging.getLogger("langsmith").setLevel(logging.CRITICAL)
    for name in ("httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _root(endpoint: str) -> str:
    """The address without the version of the API, which the read client adds itself."""
    return endpoint.removesuffix("/v1").removesuffix("/api")


def _response_of(error: BaseException | None) -> Any:
    """The HTTP response behind an error of the SDK, which keeps it in the error's history."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return response
        error = error.__cause__ or error.__context__
    return None


def _retry_after(response: Any) -> float | None:
    value = response.headers.get("retry-after", "") if response is not None else ""
    return float(value) if value.isascii() and value.isdigit() and len(value) < 8 else None

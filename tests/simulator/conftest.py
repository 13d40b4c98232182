"""One simulator for the session, emptied for each test, and the real SDKs in front of it."""

from collections.abc import Callable, Iterator, Mapping

import anthropic
import openai
import pytest

from simulator.raw_http import RawAnswer, RawConnection
from simulator.testing import RunningSimulator, running_simulator

OPENAI_HEADERS = {"authorization": "Bearer sk-test-1234"}
ANTHROPIC_HEADERS = {"x-api-key": "sk-ant-test-1234", "anthropic-version": "2023-06-01"}


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture
def simulator(simulator_process: RunningSimulator) -> RunningSimulator:
    simulator_process.clear()
    return simulator_process


@pytest.fixture
def openai_client(simulator: RunningSimulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-test-1234", base_url=simulator.openai_url, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def anthropic_client(simulator: RunningSimulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="sk-ant-test-1234", base_url=simulator.url, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def connect(simulator: RunningSimulator) -> Callable[[], RawConnection]:
    return lambda: RawConnection(simulator.host, simulator.port)


@pytest.fixture
def post(connect: Callable[[], RawConnection]) -> Callable[..., RawAnswer]:
    """Post a body as it is and read the whole answer; the dialect's own headers by default."""

    def post_raw(path: str, body: object, headers: Mapping[str, str] | None = None) -> RawAnswer:
        usual = ANTHROPIC_HEADERS if path.startswith("/v1/messages") else OPENAI_HEADERS
        with connect() as connection:
            connection.send("POST", path, body, usual if headers is None else headers)
            return connection.read_to_end()

    return post_raw


@pytest.fixture
def request_bare(connect: Callable[[], RawConnection]) -> Callable[..., RawAnswer]:
    """Send a request without a body in OpenAI's dialect."""

    def send(method: str, path: str, headers: Mapping[str, str] | None = None) -> RawAnswer:
        with connect() as connection:
            connection.send(method, path, b"", OPENAI_HEADERS if headers is None else headers)
            return connection.read_to_end()

    return send


@pytest.fixture
def ask_openai(post: Callable[..., RawAnswer]) -> Callable[..., RawAnswer]:
    """Ask OpenAI's dialect with a prompt and further fields."""

    def ask(prompt: str, **fields: object) -> RawAnswer:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}
        return post("/v1/chat/completions", body | fields)

    return ask


@pytest.fixture
def ask_anthropic(post: Callable[..., RawAnswer]) -> Callable[..., RawAnswer]:
    """Ask Anthropic's dialect with a prompt and further fields."""

    def ask(prompt: str, **fields: object) -> RawAnswer:
        body = {
            "model": "claude-sonnet-5-5",
            "max_tokens": 1_000,
            "messages": [{"role": "user", "content": prompt}],
        }
        return post("/v1/messages", body | fields)

    return ask


@pytest.fixture
def ask_response(post: Callable[..., RawAnswer]) -> Callable[..., RawAnswer]:
    """Ask for a response with a prompt and further fields."""

    def ask(prompt: str, **fields: object) -> RawAnswer:
        return post("/v1/responses", {"model": "gpt-4o-mini", "input": prompt} | fields)

    return ask


@pytest.fixture
def ask_vendor(post: Callable[..., RawAnswer]) -> Callable[..., RawAnswer]:
    """Ask a vendor of OpenAI's dialect for a chat completion."""

    def ask(vendor: str, prompt: str, **fields: object) -> RawAnswer:
        body = {"model": "some-model", "messages": [{"role": "user", "content": prompt}]}
        return post(f"/vendors/{vendor}/v1/chat/completions", body | fields)

    return ask

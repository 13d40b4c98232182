"""Everything that is compared, and how each is started before the same upstream."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cpu, nginx
from bench.errors import BenchError
from bench.gateway import gateway
from bench.peers import litellm, portkey
from bench.progress import say
from bench.server import Server

NGINX = "nginx"
OURS = "AI Gateway"
NO_LANGSMITH = "- without LangSmith"
FEWEST = "- and without budgets, log"

LANGSMITH_OFF: Mapping[str, str] = {}
FEWEST_PARTS = {"AI_COST_TRACKING_ENABLED": "false", "AI_GATEWAY_LOG_LEVEL": "error"}


@dataclass(frozen=True, slots=True)
class Contestant:
    """`option` names it on the command line; a peer that does not start is left out and named."""

    name: str
    option: str
    start: Callable[[Path, int], AbstractContextManager[Server]]
    is_peer: bool = False


@dataclass(frozen=True, slots=True)
class Started:
    """The servers that run, and of each other one why it does not."""

    servers: Sequence[Server]
    left_out: Mapping[str, str]


@contextmanager
def started(chosen: Sequence[Contestant], upstream: int, folder: Path) -> Iterator[Started]:
    """Start all at once, since most of a start is waiting, and end them with the block."""

    def start(one: Contestant) -> tuple[AbstractContextManager[Server], Server]:
        say(f"starting {one.name}")
        place = folder / one.option
        place.mkdir(mode=0o755, parents=True)
        context = one.start(place, upstream)
        return context, context.__enter__()

    servers, left_out, failed = [], {}, []
    with ExitStack() as stack:
        with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
            starts = [(one, pool.submit(start, one)) for one in chosen]
        for one, begun in starts:
            try:
                context, server = begun.result()
                stack.push(context)
                servers.append(server)
            except BenchError as error:
                if not one.is_peer:
                    failed.append(error)
                say(f"{one.name} is left out: {error}")
                left_out[one.name] = str(error)
        if failed:
            raise failed[0]
        yield Started(servers, left_out)


@contextmanager
def _pass_through(folder: Path, upstream: int) -> Iterator[Server]:
    with nginx.pass_through(folder / "nginx", upstream) as (pid, port):
        headers = {"Authorization": "Bearer sk-bench-not-a-real-key"}
        yield Server(NGINX, cpu.Group(pid), port, headers)


@contextmanager
def _everything(folder: Path, upstream: int) -> Iterator[Server]:
    with nginx.langsmith(folder / "langsmith") as address:
        variables = {"LANGSMITH_API_KEY": "not-a-real-key", "LANGSMITH_ENDPOINT": address}
        with _ours(OURS, variables)(folder, upstream) as server:
            yield server


def _ours(
    name: str, variables: Mapping[str, str]
) -> Callable[[Path, int], AbstractContextManager[Server]]:
    @contextmanager
    def start(folder: Path, upstream: int) -> Iterator[Server]:
        place = folder / "gateway"
        place.mkdir(mode=0o700)
        with gateway(place, upstream, variables) as ours:
            processes = cpu.Group(ours.pid, cpu.gateway_role)
            yield Server(name, processes, ours.port, {"Authorization": f"Bearer {ours.key}"})

    return start


WHOLE = Contestant(OURS, "ours", _everything)
PARTS = (
    Contestant(NO_LANGSMITH, "no-langsmith", _ours(NO_LANGSMITH, LANGSMITH_OFF)),
    Contestant(FEWEST, "fewest-parts", _ours(FEWEST, FEWEST_PARTS)),
)
CONTESTANTS = (
    Contestant(NGINX, "nginx", _pass_through),
    Contestant(portkey.NAME, "portkey", portkey.portkey, is_peer=True),
    Contestant(litellm.NAME, "litellm", litellm.litellm, is_peer=True),
    WHOLE,
    *PARTS,
)

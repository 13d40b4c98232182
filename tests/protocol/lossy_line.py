"""A line to Redis that loses requests and replies, delays them, and repeats scripts.

What a client cannot know of a broken connection is made to happen: its script ran, did not run,
runs later, or runs twice.
"""

import asyncio
import hashlib
import signal
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from random import Random

from tests.protocol.plan import Losses

SCRIPTS = Path(__file__).parents[2] / "ai_gateway" / "stores" / "scripts"
REPEATABLE = (
    "reserve", "settle", "heartbeat", "rehold", "withdraw", "expire", "reset", "publish_keys",
)  # fmt: skip
REFUSALS = (b"DENY", b"STALE", b"NOSCRIPT")
LATEST_SECONDS = 0.4
READ_BYTES = 2**20


class Fate(Enum):
    """What becomes of one request."""

    PASSED = auto()
    REQUEST_LOST = auto()
    REPLY_LOST = auto()
    COMES_LATE = auto()
    COMES_TWICE = auto()


class LossyLine:
    """Listens at one socket and passes on to another; `calm` ends all losses."""

    def __init__(self, target: Path, losses: Losses, random: Random) -> None:
        self._target = target
        self._losses = losses
        self._random = random
        self._repeatable = [
            hashlib.sha1((SCRIPTS / f"{name}.lua").read_bytes()).hexdigest().encode()  # noqa: S324 - the server's own name for a script
            for name in REPEATABLE
        ]
        self._running: set[asyncio.Task[None]] = set()

    def calm(self) -> None:
        self._losses = Losses()

    async def serve(self, path: Path) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.calm)
        server = await asyncio.start_unix_server(self._connected, path)
        await server.serve_forever()

    async def _connected(self, client: StreamReader, answers: StreamWriter) -> None:
        with suppress(OSError):
            redis, requests = await asyncio.open_unix_connection(self._target)
            replies = _Replies(redis, answers, self._repeat)
            self._start(replies.pass_on())
            with suppress(OSError):
                while (request := await client.read(READ_BYTES)) and self._passes(
                    request, requests, replies
                ):
                    pass
            requests.close()
        answers.close()

    def _passes(self, request: bytes, requests: StreamWriter, replies: "_Replies") -> bool:
        """Do what fate says to a request; False where the connection is over."""
        fate = self._fate()
        if fate is Fate.COMES_LATE:
            self._repeat(request)
        if fate in {Fate.COMES_LATE, Fate.REQUEST_LOST}:
            return False
        replies.are_lost = fate is Fate.REPLY_LOST
        replies.to_repeat = request if fate is Fate.COMES_TWICE else b""
        requests.write(request)
        return True

    def _repeat(self, request: bytes) -> None:
        """Only the money's scripts may be repeated; a transaction may not."""
        if any(name in request[:96] for name in self._repeatable):
            self._start(self._send_alone(request))

    def _fate(self) -> Fate:
        losses = self._losses
        shares = [losses.request_lost, losses.reply_lost, losses.comes_late, losses.comes_twice]
        (fate,) = self._random.choices(list(Fate), [1 - sum(shares), *shares])
        return fate

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _send_alone(self, request: bytes) -> None:
        """By a connection of its own, some time later; nobody hears the answer."""
        await asyncio.sleep(self._random.uniform(0, LATEST_SECONDS))
        with suppress(OSError):
            redis, requests = await asyncio.open_unix_connection(self._target)
            requests.write(request)
            await redis.read(READ_BYTES)
            requests.close()


class _Replies:
    """What goes back on one connection; where they are lost, it ends with the next.

    What was refused is not repeated: nobody asks again for such a call.
    """

    def __init__(
        self, redis: StreamReader, answers: StreamWriter, repeat: Callable[[bytes], None]
    ) -> None:
        self._redis = redis
        self._answers = answers
        self._repeat = repeat
        self.are_lost = False
        self.to_repeat = b""

    async def pass_on(self) -> None:
        with suppress(OSError):
            while (reply := await self._redis.read(READ_BYTES)) and not self.are_lost:
                if self.to_repeat and not any(word in reply for word in REFUSALS):
                    self._repeat(self.to_repeat)
                self.to_repeat = b""
                self._answers.write(reply)
        self._answers.close()


def run_lossy_line(path: Path, target: Path, losses: Losses, seed: int) -> None:
    """A process of its own."""
    line = LossyLine(target, losses, Random(f"{seed}:line"))
    asyncio.run(line.serve(path))

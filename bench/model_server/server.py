"""The model server on loopback, and the tokenizer of its model."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.model_server.calls import Answered
from bench.model_server.environment import INSIDE, run
from bench.processes import accepts, free_port, running

MODEL = "tiny"
TEXTS = ("README.md", "docs/*.md")


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A model server that answers; `folder` holds the model."""

    programs: Path
    folder: Path
    port: int

    def count(self, answered: Sequence[Answered]) -> list[tuple[int, int]]:
        """Count prompt and answer of each call anew.

        The server counts the end of an answer as a token, which has no text: an answer that was
        not cut off has it.
        """
        chats = [{"messages": one.case.messages, "answer": one.text} for one in answered]
        script = str(INSIDE / "count_tokens.py")
        command = [str(self.programs / "python"), script, str(self.folder / MODEL)]
        counts = json.loads(run(command, json.dumps(chats)))
        return [
            (prompt, min(answer + 1, one.case.cap or answer + 1))
            for (prompt, answer), one in zip(counts, answered, strict=True)
        ]


@contextmanager
def model_server(programs: Path, folder: Path, root: Path) -> Iterator[ModelServer]:
    """Make the model, trained on the project's own pages, and serve it while the block runs."""
    texts = sorted(str(path) for pattern in TEXTS for path in root.glob(pattern))
    script = str(INSIDE / "make_model.py")
    run([str(programs / "python"), script, str(folder / MODEL), *texts])
    port = free_port()
    command = [str(programs / "transformers"), "serve", MODEL]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    # Its model is here, so that it needs nothing from elsewhere; more threads slow so small a one.
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
    env = os.environ | offline
    with running(command, folder / "log", is_ready=lambda: accepts(port), env=env):
        yield ModelServer(programs, folder, port)

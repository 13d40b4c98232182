"""nginx three times: as the provider with a canned answer, as LangSmith, and as the plain
pass-through that the others are compared with.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.processes import accepts, clean_environment, free_port, running

ANSWER_BYTES = 1024

CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {more}
}}
"""

CANNED = """\
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 200 '{answer}'; }}
    }}
"""

LANGSMITH = """\
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        default_type application/json;
        location /info {{ return 200 '{{"version": "stand-in"}}'; }}
        location /api/v2/sessions {{ return 200 '{{"items": [], "next_cursor": null}}'; }}
        location / {{ return 202 '{{}}'; }}
    }}
"""

PROXY = """\
    upstream provider {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_buffering off;
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""


def canned_answer() -> str:
    """Give a chat completion of `ANSWER_BYTES`; nginx could not take a quote or a dollar sign."""
    usage = {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500}

    def body(content: str) -> str:
        return json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion",
                "created": 1760000000,
                "model": "gpt-4o-mini-2024-07-18",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": content},
                        "finish_reason": "stop",
                    }
                ],
                "usage": usage,
            }
        )

    return body("x" * (ANSWER_BYTES - len(body(""))))


def find_nginx() -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("nginx", path=path)
    if found is None:
        raise BenchError("nginx is missing: install the Debian package nginx")
    return found


@contextmanager
def provider(folder: Path) -> Iterator[int]:
    """Run the stand-in for the provider and give its port."""
    port = free_port()
    with _nginx(folder, CANNED.format(port=port, answer=canned_answer()), port):
        yield port


@contextmanager
def langsmith(folder: Path) -> Iterator[str]:
    """Run a stand-in for LangSmith that takes every run and keeps none; give its address."""
    port = free_port()
    with _nginx(folder, LANGSMITH.format(port=port), port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def pass_through(folder: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """Run nginx as a proxy that looks at nothing; give its pid and its port."""
    port = free_port()
    with _nginx(folder, PROXY.format(port=port, upstream=upstream), port) as pid:
        yield pid, port


@contextmanager
def _nginx(folder: Path, more: str, port: int) -> Iterator[int]:
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, more=more), encoding="utf-8")
    command = [find_nginx(), "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    log, env = folder / "log", clean_environment(folder)
    with running(command, log, is_ready=lambda: accepts(port), env=env, ready_seconds=10) as pid:
        yield pid

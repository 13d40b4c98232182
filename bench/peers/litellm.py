"""LiteLLM's proxy from PyPI, with one worker and the settings of its page on production.

It knows one made-up master key. Keys and budgets of users need its database, which it has not got
here: it prices each call and counts in its own memory.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import cpu
from bench.installed import python_packages
from bench.processes import accepts, clean_environment, free_port, running
from bench.request import MODEL
from bench.server import Server

NAME = "LiteLLM"
REQUIREMENTS = Path(__file__).with_name("litellm.txt")
# docs.litellm.ai/docs/proxy/prod, read on 2026-11-25; alerts and what needs a database left out.
CONFIGURATION = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://127.0.0.1:{upstream}/v1
      api_key: sk-bench-not-a-real-key
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
litellm_settings:
  request_timeout: 600
  set_verbose: False
  json_logs: true
"""
ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    # Each of these would be fetched from elsewhere.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
}


@contextmanager
def litellm(folder: Path, upstream: int) -> Iterator[Server]:
    programs = python_packages("litellm", REQUIREMENTS)
    port, key = free_port(), f"sk-{secrets.token_hex(16)}"
    configuration = folder / "config.yaml"
    configuration.write_text(CONFIGURATION.format(model=MODEL, upstream=upstream), encoding="utf-8")
    command = [str(programs / "litellm"), "--config", str(configuration), "--num_workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    env = clean_environment(folder, LITELLM_MASTER_KEY=key, **ENVIRONMENT)
    log = folder / "log"
    with running(command, log, is_ready=lambda: accepts(port), env=env, ready_seconds=300) as pid:
        yield Server(NAME, cpu.Group(pid), port, {"Authorization": f"Bearer {key}"})

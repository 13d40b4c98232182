"""`make container-check`: no step of the Dockerfile left out, then all services run from that.

The tests take the packages that are installed already, since these take minutes to fetch.
"""

import subprocess
import sys

from tests.deploy.by_hand import run_in_shell
from tests.deploy.running import Deployment, deployed


def main() -> int:
    with deployed(run_in_shell) as deployment:
        _check(deployment)
        for name in ("gateway", "bookkeeper"):
            code = deployment.stop(name)
            assert code == 0, deployment.said(name)
    print("every step of the Dockerfile was done, and what it made serves and stops")
    return 0


def _check(deployment: Deployment) -> None:
    image = deployment.image
    command = image.as_its_user(image.stage.health_check)
    subprocess.run(command, env=deployment.environment("gateway"), check=True, timeout=20)
    subprocess.run(["du", "-sh", image.below("/opt/venv"), image.below("/app")], check=True)


if __name__ == "__main__":
    sys.exit(main())

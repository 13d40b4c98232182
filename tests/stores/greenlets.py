"""Runs beside the test, under gevent: callers of a group commit, of which a fourth is killed."""

# gevent ships no types.
# mypy: disable-error-code="no-untyped-call"

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from ai_gateway.stores.group_commit import GroupCommit  # noqa: E402
from ai_gateway.stores.redis_client import connect  # noqa: E402

CALLERS = 200


def main(url: str) -> None:
    with connect(url, timeout_seconds=20) as client:
        scripts = GroupCommit(client)
        echo = client.register_script("#!lua\nreturn ARGV[1]")
        scripts.run(echo, [], ["0"])
        process = client.info("server")["process_id"]
        os.kill(process, signal.SIGSTOP)
        try:
            callers = [
                gevent.spawn(scripts.run, echo, [], [str(number)]) for number in range(CALLERS)
            ]
            gevent.sleep(0.05)
            # One of those that were sent to Redis, so not the leader, and of those that wait.
            gevent.killall(callers[3::4])
        finally:
            os.kill(process, signal.SIGCONT)
        gevent.joinall(callers, timeout=30)
        replies = [caller.value for caller in callers]
        good = sum(value == str(number) for number, value in enumerate(replies))
        killed = sum(isinstance(value, gevent.GreenletExit) for value in replies)
        sys.stdout.write(f"good: {good} killed: {killed}\n")


if __name__ == "__main__":
    main(sys.argv[1])

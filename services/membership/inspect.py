"""`python -m services.membership.inspect`: a question on standard input, its answer on standard output, as JSON.

Started by `usher inspect`. Not by arguments: everybody on the machine can read those, and a question names a member.
"""

import asyncio
import sys

import msgspec

from services.domain.membership.inspection import Question
from services.membership.app import answer
from services.runtime.environment import load_settings
from services.runtime.logs import configure_logs


def main() -> None:
    """One question, one answer. Settings are those of the caller, who has checked them."""
    configure_logs("inspect", "ERROR")
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(answer(load_settings(), question))))


if __name__ == "__main__":
    main()

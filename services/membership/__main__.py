"""Runs membership: `python -m services.membership`, or `usher run membership`."""

import sys

from services.membership.app import main
from services.runtime.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("membership", main))

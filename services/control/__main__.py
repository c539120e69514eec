"""`python -m services.control`: see `app`."""

import sys

from services.control.app import main
from services.runtime.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("control", main))

"""`python -m services.activation`."""

import sys

from services.activation.app import main
from services.runtime.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("activation", main))

"""`python -m services.intake`: watches notifications and reads objects."""

import sys

from services.intake.app import main
from services.runtime.lifecycle import run_service

sys.exit(run_service("intake", main))

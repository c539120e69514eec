"""`python -m services.tools` is `usher`."""

from services.tools.cli import main

main()

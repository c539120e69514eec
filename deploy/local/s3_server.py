"""The process that `s3` starts: moto's server on a loopback port, without a log line for each request.

`python -m deploy.local.s3_server PORT`; runs until it is ended.
"""

import logging
import sys

from moto.server import main

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])

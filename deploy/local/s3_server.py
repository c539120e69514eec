"""The process that `s3` starts: moto's server on a loopback port, without a log line for each request.

`python -m deploy.local.s3_server PORT`; runs until it is ended. moto works out anew with each call what never changes;
here it does so once, and an object that is put, announced, asked for and read costs a third less.
"""

import functools
import logging
import sys

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
from moto.sqs.models import SQSBackend


def economise() -> None:
    """What a call costs no longer depends on how many services moto knows, or messages a queue holds."""
    # Which service a host belongs to: a look at the folders of all of them, twice a request.
    app = DomainDispatcherApplication
    app.get_backend_for_host = functools.cache(app.get_backend_for_host)  # type: ignore[method-assign] # moto has no setting
    # Whether a message has been kept for four days: three counts of the whole queue, for each message received.
    SQSBackend.is_message_valid_based_on_retention_period = lambda *_: True  # type: ignore[method-assign] # as above


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    economise()
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])

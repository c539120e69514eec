"""The peers' work in Quix Streams, exactly once: `quix_app.py BOOTSTRAP IN OUT GROUP STATE_DIR`."""

import sys
from typing import Any

from quixstreams import Application

bootstrap, source, out, group, state_dir = sys.argv[1:]


def change(event: dict[str, str], state: Any) -> dict[str, str] | None:
    """What the event changes; its key's state has the audiences."""
    audience, wanted = event["audience_id"], event["op"] == "enter"
    if state.get(audience, False) == wanted:
        return None
    if wanted:
        state.set(audience, True)
    else:
        state.delete(audience)
    said = "entered" if wanted else "exited"
    return {"profile_id": event["profile_id"], "audience_id": audience, "change": said}


app = Application(
    broker_address=bootstrap,
    consumer_group=group,
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir=state_dir,
    loglevel="WARNING",
)
frame = app.dataframe(app.topic(source, value_deserializer="json", key_deserializer="str"))
frame = frame.apply(change, stateful=True)
frame = frame[frame.apply(lambda found: found is not None)]
frame = frame.to_topic(app.topic(out, value_serializer="json", key_serializer="str"))
app.run()

"""The peers' work in faust-streaming with a table, at least once: `faust_app.py worker`, where to in the environment."""

import os
from typing import Any

import faust

app = faust.App(
    os.environ["APP"],
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    store="memory://",
    topic_partitions=4,
    web_enabled=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    datadir=os.environ["STATE_DIR"],
)
source = app.topic(os.environ["IN"], key_type=str, key_serializer="raw", value_serializer="json")
out = app.topic(os.environ["OUT"], value_serializer="json", partitions=4)
members = app.Table("m", default=bool, partitions=4, key_type=str, value_type=bool)


async def changes(events: Any) -> None:
    """Sends what each event changes."""
    async for event in events:
        profile, audience = event["profile_id"], event["audience_id"]
        key, wanted = f"{profile}|{audience}", event["op"] == "enter"
        if members[key] == wanted:
            continue
        if wanted:
            members[key] = True
        else:
            members.pop(key, None)
        said = "entered" if wanted else "exited"
        await out.send(key=profile.encode(), value={"profile_id": profile, "audience_id": audience, "change": said})


app.agent(source)(changes)

if __name__ == "__main__":
    app.main()

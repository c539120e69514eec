"""usher from Python: publish commands, await their replies, read who entered and who exited.

    async with connect(source="/crm") as usher:
        reply = await usher.call("acme", "members.add", [MembersItem(audience="vip", identifiers=["u000001"])])
        async with aclosing(usher.changes(space="acme")) as changes:
            async for change in changes:
                ...

Everything here is published contract: it needs Kafka and nothing else of usher running but control, which replies.
"""

from services.client.changes import MemberChange, Position
from services.client.client import Client, NoReply, opened
from services.client.connect import connect
from services.client.follower import Follower, TopicMissing
from services.client.signing import Signer

__all__ = ["Client", "Follower", "MemberChange", "NoReply", "Position", "Signer", "TopicMissing", "connect", "opened"]

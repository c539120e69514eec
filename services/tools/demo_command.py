"""`usher demo`: stack, services, receiver and the bundled scenarios in one go; stops everything that it started."""

import asyncio
import base64
import os
import secrets
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import aiohttp

from services.adapters.connect import open_kafka, open_objects
from services.runtime.environment import load_settings
from services.runtime.log import Log
from services.runtime.objects import Objects
from services.tools.audit_command import audit
from services.tools.children import ChildDied, Children
from services.tools.local_stack import local_module, say
from services.tools.play import play
from services.tools.play_command import load, progress, show
from services.tools.playing import DeliverTo, Played
from services.tools.session import CallFailed, complain
from services.tools.topics import SERVICES, ensure_topics
from services.tools.topics_command import specs_of

PROJECT: Final = Path(__file__).parents[2]
SCENARIOS: Final = PROJECT / "tests" / "scenarios"
READY_SECONDS: Final = 60.0
T = TypeVar("T")


async def main() -> int:
    """Exit 0 where every expectation held, the receiver got every change and the audit is clean, else 1."""
    started = time.monotonic()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    work = asyncio.create_task(_demo())
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not work.done():
        say("stopping …")
        work.cancel()
    try:
        right = await work
    except asyncio.CancelledError:
        return 130
    except (CallFailed, ChildDied) as error:
        return complain(CallFailed(str(error)))
    print(f"{'all as expected' if right else 'NOT as expected'}, in {time.monotonic() - started:.0f} s")
    return 0 if right else 1


async def _demo() -> bool:
    async with AsyncExitStack() as stack:
        root = PROJECT / ".usher" / "demo"
        await _bring_up(stack, root)
        os.chdir(root)  # where settings, ours and the children's, find the demo's own stack
        settings = load_settings()
        log = await stack.enter_async_context(open_kafka(settings, client_id="usher-demo"))
        objects = await stack.enter_async_context(open_objects(settings))
        await ensure_topics(log, specs_of(settings))
        children = await stack.enter_async_context(Children(root / ".usher" / "logs"))
        receiver = await _start_children(children)
        playing = asyncio.create_task(_play_all(log, objects, str(settings.s3_bucket), receiver))
        return await _unless_child_dies(children, playing)


async def _bring_up(stack: AsyncExitStack, root: Path) -> None:
    local, failure = local_module("stack"), local_module("state").StackError
    stack.push_async_callback(asyncio.to_thread, lambda: local.down(root, say, keep_objects=False))
    try:
        await asyncio.to_thread(lambda: local.up(root, fresh=True, say=say))
    except failure as error:
        raise CallFailed(str(error)) from None


async def _start_children(children: Children) -> str:
    """Starts the receiver and the four services, and returns the receiver's address when all are ready."""
    free_port = local_module("processes").free_port
    shared = {
        "USHER_ALLOW_PRIVATE_DESTINATIONS": "true",
        "USHER_DEMO_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    port = free_port()
    await children.start(
        "receiver", "services.tools.receiver", ["--port", str(port), "--secret", "env:USHER_DEMO_SECRET"], shared
    )
    awaited = [_answers(port, "/state")]
    for service in SERVICES:
        http = free_port()
        await children.start(service, f"services.{service}", [], {**shared, "USHER_HTTP_PORT": str(http)})
        awaited.append(_answers(http, "/readyz"))
    say(f"waiting for the receiver and {', '.join(SERVICES)}")
    await _unless_child_dies(children, asyncio.gather(*awaited))
    return f"http://127.0.0.1:{port}"


async def _unless_child_dies(children: Children, work: "asyncio.Future[T]") -> T:
    """The result of `work`; raises `ChildDied` as soon as a child has ended."""
    watching: asyncio.Future[Any] = asyncio.ensure_future(children.watch())
    try:
        await asyncio.wait([watching, work], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await watching
        return await work
    finally:
        watching.cancel()
        work.cancel()
        await asyncio.gather(watching, work, return_exceptions=True)


async def _answers(port: int, path: str) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as web:
            while not await _ok(web, f"http://127.0.0.1:{port}{path}"):  # noqa: ASYNC110 - a process sets no event
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise CallFailed(f"port {port}{path} was not ready within {READY_SECONDS:.0f} s") from None


async def _ok(web: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with web.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _play_all(log: Log, objects: Objects, bucket: str, receiver: str) -> bool:
    played: list[Played] = []
    for file in sorted(SCENARIOS.glob("*.yaml")):
        scenario = await asyncio.to_thread(load, file)
        say(f"playing {scenario.name}")
        target = DeliverTo(f"{receiver}/hook", "env:USHER_DEMO_SECRET")
        played.append(await play(log, objects, bucket, scenario, deliver_to=target, on_check=progress(scenario)))
        show(played[-1], as_json=False)
    received = await _received(receiver, played)
    report = await audit(log)
    for line in report.lines:
        print(line)
    print(f"audit: {sum(report.checked.values()):,} facts, {len(report.broken)} laws broken")
    return all(one.ok for one in played) and received and not report.broken


async def _received(receiver: str, played: Sequence[Played]) -> bool:
    """Holds what the receiver got against what was published: every change once, and the same members at the end."""
    async with aiohttp.ClientSession() as web, web.get(f"{receiver}/state") as answer:
        state = await answer.json()
    sent = [sent for one in played for sent in one.sent]
    delivered, merged = sum(one.delivered for one in sent), sum(one.merged for one in sent)
    print(f"published  {sum(one.published for one in sent):,} changes to {len(sent)} activations")
    print(f"delivered  {delivered:,}; {merged:,} more were overtaken by a later change of the same identity")
    print(f"receiver   {state['entered']:,} entered, {state['exited']:,} exited, in {state['requests']:,} requests")
    sizes = {one.activation_id: one.size for one in sent if one.published}
    wrong = [name for name, size in sizes.items() if state["activations"].get(name, 0) != size]
    for name in wrong:
        print(f"receiver: {name} has {state['activations'].get(name, 0)} members, the audience {sizes[name]}")
    whole = all(one.published == one.delivered + one.merged for one in sent)
    return whole and not wrong and not state["conflicts"] and state["entered"] + state["exited"] == delivered

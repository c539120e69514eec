"""What probes and scrapers get."""

import aiohttp

from services.adapters.http_server import serve_health
from services.runtime.health import Health
from tests.unit.runtime.machine import HandClock


async def test_probes_say_why_and_metrics_are_there() -> None:
    clock = HandClock()
    health = Health(clock)
    gate = health.gate("control")
    runner, port = await serve_health(health, host="127.0.0.1", port=0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def get(path: str) -> tuple[int, str]:
                async with session.get(path) as answer:
                    return answer.status, await answer.text()

            assert await get("/livez") == (200, "ok\n")
            assert await get("/readyz") == (503, "control: waiting\n")
            gate.open()
            assert await get("/readyz") == (200, "ok\n")
            clock.pass_seconds(31)
            assert await get("/livez") == (503, "event loop: did not turn for 31 s\n")
            status, text = await get("/metrics")
            assert status == 200
            assert "usher_fold_records_total" in text
            assert "process_cpu_seconds_total" in text
    finally:
        await runner.cleanup()

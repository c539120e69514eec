"""Serves `/livez`, `/readyz` and `/metrics` (aiohttp); what they say stands in `runtime.health` and `telemetry`."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.runtime.health import Health
from services.runtime.telemetry import REGISTRY


async def serve_health(health: Health, *, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Starts to serve; the runner is for `cleanup`, the number is the port (chosen where `port` is 0).

    Raises `OSError` where the port is taken.
    """

    async def answer(request: web.Request) -> web.Response:
        match request.path:
            case "/livez":
                return _verdict(health.not_alive())
            case "/readyz":
                return _verdict(health.not_ready())
            case _:
                return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get(path, answer) for path in ("/livez", "/readyz", "/metrics")])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner, int(runner.addresses[0][1])


def _verdict(reasons: list[str]) -> web.Response:
    return web.Response(text="".join(f"{line}\n" for line in reasons or ["ok"]), status=503 if reasons else 200)

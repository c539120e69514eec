"""The web adapter against servers that behave in every way a destination may."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from contracts import codes
from services.adapters.http import ANSWER_BYTES_MAX, HttpWeb
from services.runtime.failures import Rejected, Unavailable
from services.runtime.web import WebRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a handler on a free port of loopback; gives its URL."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}/hook"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def talk() -> AsyncIterator[Callable[[Talk], Awaitable[str]]]:
    """Serves raw bytes: not HTTP, half of it, or nothing at all."""
    servers: list[asyncio.Server] = []

    async def start(talking: Talk) -> str:
        async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await talking(reader, writer)
            writer.close()

        server = await asyncio.start_server(closing, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def allowing() -> AsyncIterator[HttpWeb]:
    made = HttpWeb(allow_private=True)
    yield made
    await made.close()


@pytest.fixture
async def strict() -> AsyncIterator[HttpWeb]:
    made = HttpWeb(allow_private=False)
    yield made
    await made.close()


async def test_what_was_asked_is_sent_and_the_answer_comes_back_whole(serve: Serve, allowing: HttpWeb) -> None:
    async def handler(request: web.Request) -> web.Response:
        echo = f"{request.method} {request.headers['webhook-id']} {(await request.read()).decode()}"
        answer = web.Response(status=202, text=echo)
        answer.headers.add("X-Twice", "a")
        answer.headers.add("X-Twice", "b")
        return answer

    answer = await allowing.send(
        WebRequest(method="POST", url=await serve(handler), headers={"webhook-id": "msg_1"}, body=b"{}")
    )
    assert (answer.status, answer.body) == (202, b"POST msg_1 {}")
    assert answer.headers["x-twice"] == "a, b"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 410, 429, 500, 503])
async def test_any_status_is_an_answer_and_no_redirect_is_followed(
    serve: Serve, allowing: HttpWeb, status: int
) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere", "Retry-After": "7"})

    answer = await allowing.send(WebRequest(method="POST", url=await serve(handler)))
    assert answer.status == status
    assert answer.headers["retry-after"] == "7"
    assert paths == ["/hook"]


async def test_a_long_answer_is_cut_and_a_compressed_one_is_left_as_it_is(serve: Serve, allowing: HttpWeb) -> None:
    bomb = gzip.compress(bytes(10_000_000))

    async def long(request: web.Request) -> web.Response:
        return web.Response(body=bytes(3 * ANSWER_BYTES_MAX))

    async def compressed(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    answer = await allowing.send(WebRequest(method="GET", url=await serve(long)))
    assert len(answer.body) == ANSWER_BYTES_MAX
    answer = await allowing.send(WebRequest(method="GET", url=await serve(compressed)))
    assert answer.body == bomb


async def test_no_answer_is_unavailable_in_words_without_the_path(
    talk: Callable[[Talk], Awaitable[str]], allowing: HttpWeb
) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 what?\r\n\r\n")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        urls = [
            f"http://127.0.0.1:{unused.getsockname()[1]}/",  # refused: nobody listens
            *[await talk(talking) for talking in (garbage, hang_up, half)],
        ]
        for url in urls:
            with pytest.raises(Unavailable) as caught:
                await allowing.send(WebRequest(method="POST", url=f"{url}secret-token"))
            assert "secret" not in str(caught.value)
            assert str(caught.value).startswith("127.0.0.1: ")


async def test_one_deadline_bounds_the_slowest_body(serve: Serve, allowing: HttpWeb) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")  # always something, never the end
            await asyncio.sleep(0.01)

    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable, match="no whole answer in time"):
        await allowing.send(WebRequest(method="POST", url=await serve(drip), timeout_seconds=0.2))
    assert asyncio.get_running_loop().time() - began < 5


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/",
        "http://localhost:8080/",
        "http://LocalHost:8080/",
        "http://127.0.0.1.:8080/",
        "http://0:8080/",
        "http://0.0.0.0:8080/",
        "http://[::ffff:7f00:1]:8080/",
        "http://[2002:7f00:1::]:8080/",
        "http://[fe80::1%25lo]:8080/",
        "http://10.1.2.3:8080/",
        "http://172.16.1.2:8080/",
        "http://192.168.1.2:8080/",
        "http://[fd00::1]:8080/",
        "http://example.com@127.0.0.1:8080/",
        "http://127.0.0.1:8080\\@example.com/",
        "http://127.1:8080/",
        "http://2130706433:8080/",  # 127.0.0.1 in decimal
        "http://0x7f000001:8080/",
        "http://0177.0.0.1:8080/",
        "http://[::1]:8080/",
        "http://[::ffff:127.0.0.1]:8080/",
        "http://[64:ff9b::7f00:1]:8080/",
        "http://169.254.169.254/latest/meta-data/",
        "http://93.184.216.34:22/",
        "http://93.184.216.34:6379/",
        "ftp://93.184.216.34/",
        "file:///etc/passwd",
        "//93.184.216.34/",
        "http://",
        "http://[::1",
        "http://93.184.216.34:99999/",
        "nonsense",
        f"http://{'a' * 64}.example/",  # no label is so long
        "http://a..example/",
    ],
)
async def test_what_the_operator_does_not_allow_is_refused(strict: HttpWeb, url: str) -> None:
    with pytest.raises((Rejected, Unavailable)) as caught:
        await strict.send(WebRequest(method="POST", url=url))
    if isinstance(caught.value, Rejected):
        assert caught.value.code is codes.DELIVERY_ADDRESS_REFUSED
    else:  # aiohttp itself refuses numeric forms that aren't canonical
        assert "InvalidUrl" in str(caught.value)


@pytest.mark.parametrize("host", ["localhost.", "%31%32%37.0.0.1", "inside.example"])
async def test_whatever_a_name_is_its_addresses_count(
    strict: HttpWeb, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolvers differ in which of these they know."""
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 8080))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
    with pytest.raises(Rejected) as caught:
        await strict.send(WebRequest(method="POST", url=f"http://{host}:8080/"))
    assert caught.value.code is codes.DELIVERY_ADDRESS_REFUSED


async def test_a_name_is_judged_by_what_it_resolves_to_and_never_asked_twice(
    serve: Serve, strict: HttpWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second answer would be private, but nobody asks for it."""
    reached: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    port = int((await serve(handler)).split(":")[2].split("/")[0])
    answers = iter(["203.0.113.1", "127.0.0.1"])
    asked: list[str] = []

    def resolve(host: str, port: int, **kwargs: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("services.adapters.http.is_public", lambda address: address == "203.0.113.1")
    monkeypatch.setattr("services.adapters.http.PORTS_ALLOWED", {port})
    request = WebRequest(method="POST", url=f"http://rebinding.example:{port}/", timeout_seconds=0.5)
    with pytest.raises(Unavailable):
        await strict.send(request)  # to the public address, where nobody answers
    assert asked == ["rebinding.example"]
    with pytest.raises(Rejected) as caught:
        await strict.send(request)
    assert caught.value.code is codes.DELIVERY_ADDRESS_REFUSED
    assert reached == []

"""The broker's settings keep it on loopback; what else they promise, tests/broker asks a running one."""

from pathlib import Path

from deploy.local.kafka import server_properties

SETTINGS = dict(line.split("=", 1) for line in server_properties(Path("/data"), 20_001, 20_002).splitlines())


def test_every_address_is_loopback() -> None:
    addresses = ",".join(
        SETTINGS[name] for name in ("listeners", "advertised.listeners", "controller.quorum.voters")
    ).split(",")
    assert len(addresses) == 4
    assert all("127.0.0.1:" in address for address in addresses)

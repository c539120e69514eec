"""The broker's settings keep it on loopback; what else they promise, tests/broker asks a running one."""

from deploy.local.kafka import broker_settings

SETTINGS = broker_settings("/data", 20_001, 20_002)


def test_every_address_is_loopback() -> None:
    addresses = ",".join(
        str(SETTINGS[name]) for name in ("listeners", "advertised.listeners", "controller.quorum.voters")
    ).split(",")
    assert len(addresses) == 4
    assert all("127.0.0.1:" in address for address in addresses)

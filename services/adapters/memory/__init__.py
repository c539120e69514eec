"""The log in one process's memory, deterministic, for tests and simulations."""

from services.adapters.memory.broker import MemoryBroker
from services.adapters.memory.cluster import Act, Faults
from services.adapters.memory.log import MemoryLog

__all__ = ["Act", "Faults", "MemoryBroker", "MemoryLog"]

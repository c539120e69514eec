# Each target is one line that a person could type.
PY := .venv/bin/python
STAMP := .venv/.installed
SEED := $(shell date +%s)
ROUNDS := 200
SECONDS := 300

.PHONY: install demo test chaos soak outages check bench bench-check lock clean

install: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "usher needs Python 3.11 or newer as python3" >&2; exit 1; }
	python3 -m venv .venv && $(PY) -m pip install --quiet --disable-pip-version-check uv
	.venv/bin/uv pip install --python $(PY) --constraint requirements.lock --group dev --editable .
	@touch $@

demo: install
	$(PY) -m services.tools demo

test: install # in two processes: what needs the broker, and all else
	$(PY) -m pytest -n 2 --dist loadscope

chaos: install # kills and freezes at random; a failure says its seed, and SEED=… strikes the same services again
	CHAOS_SEED=$(SEED) CHAOS_ROUNDS=$(ROUNDS) $(PY) -m pytest -vv tests/broker/test_chaos.py

soak: install # kills activation and lets receivers fail at random; a failure says its seed
	SOAK_SEED=$(SEED) SOAK_ROUNDS=$(ROUNDS) $(PY) -m pytest -vv tests/broker/test_soak.py

outages: install # what takes minutes, or several brokers; SECONDS is how long the broker is away
	OUTAGE_SECONDS=$(SECONDS) $(PY) -m pytest -vv --show-capture=no tests/broker/test_outages.py tests/broker/test_cluster.py

check: install
	.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports
	$(PY) -m tests.contract.asyncapi

bench: install
	.venv/bin/uv pip install --quiet --python $(PY) --constraint requirements.lock --group bench
	$(PY) -m services.tools bench all

bench-check: install # stages against what was recorded; no broker
	$(PY) -m tests.benchmarks.check

lock: # takes the newest versions that pyproject.toml allows; commit the result
	.venv/bin/uv pip compile --universal --python-version 3.11 --upgrade --no-header --no-annotate --group dev --group bench pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .usher .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Two commands matter: `make demo` and `make test`. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
export DO_NOT_TRACK := 1

.PHONY: demo test test-slow test-vllm bench-vllm lint bench hina clean

demo: $(VENV)/.ready
	$(BIN)/kasasagi run quickstart

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest

test-slow: $(VENV)/.ready-train
	$(BIN)/python -m pytest -m slow

test-vllm: $(VLLM)/.ready
	$(VLLM)/bin/python -m pytest -m vllm tests/vllm

bench-vllm: $(VLLM)/.ready
	VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/bin/python -m benchmarks.vllm_throughput
	VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/bin/python -m benchmarks.hina --vllm

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready-test
	$(BIN)/python -m benchmarks.busy
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.hina
	$(BIN)/python -m benchmarks.truth

hina: $(VENV)/.ready-train
	$(BIN)/python -m hina.train

clean:
	rm -rf $(VENV) $(VLLM)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

$(VENV)/.ready-train: $(VENV)/.ready-test
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,train]"
	touch $@

$(VLLM)/.ready: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement constraints-vllm.txt
	$(VLLM)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

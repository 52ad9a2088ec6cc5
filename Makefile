# Two commands matter: `make demo` and `make test`. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
CONSUMERS := .consumers
PEERS := .peers
export DO_NOT_TRACK := 1
# pip compiles in one process what it installs, the tests of libraries too; this takes both cores and leaves those out.
INSTALL := -m pip install --quiet --no-compile
COMPILE := -m compileall -q -j 2 -x '/tests?/'
# Our own modules are compiled before commands that start many processes, and kept compiled even where the environment
# asks Python to write nothing: each process would compile all of them again, and pytest rewrite all tests.
OURS := -m compileall -q -j 2 src blocks tasks flows hina
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-slow test-vllm test-consumers bench-vllm lint docs bench bench-soak bench-peers hina clean

demo: $(VENV)/.ready
	$(BIN)/python $(OURS)
	$(BIN)/kasasagi run quickstart

test: $(VENV)/.ready-test
	$(BIN)/python $(OURS) tests benchmarks
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/.ready-train $(CONSUMERS)/.ready-formats
	$(BIN)/python $(OURS) tests benchmarks
	KASASAGI_CONSUMERS=$(CONSUMERS) $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder \
		-m "slow or cluster"

test-vllm: $(VLLM)/.ready
	$(VLLM)/bin/python $(OURS) tests
	$(VLLM)/bin/python -m pytest -m vllm tests/vllm

bench-vllm: $(VLLM)/.ready
	VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/bin/python -m benchmarks.vllm_throughput
	VLLM_CPU_KVCACHE_SPACE=1 $(VLLM)/bin/python -m benchmarks.hina --vllm

test-consumers: $(CONSUMERS)/.ready
	KASASAGI_CONSUMERS=$(CONSUMERS) $(BIN)/python -m pytest -m consumers

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.ready-test
	$(BIN)/mkdocs build --strict

bench: $(VENV)/.ready-test
	$(BIN)/python -m benchmarks.busy
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.hina
	$(BIN)/python -m benchmarks.truth
	$(BIN)/python -m benchmarks.filters
	$(BIN)/python -m benchmarks.adaptive
	$(BIN)/python -m benchmarks.prefixes
	$(BIN)/python -m benchmarks.ledger
	$(BIN)/python -m benchmarks.soak --prompts 3000 --kills 3

bench-soak: $(VENV)/.ready-test
	$(BIN)/python -m benchmarks.soak

bench-peers: $(VENV)/.ready-test
	$(BIN)/python -m benchmarks.peers --environments $(PEERS)

hina: $(VENV)/.ready-train
	$(BIN)/python -m kasasagi.hina.train

clean:
	rm -rf $(VENV) $(VLLM) $(CONSUMERS) $(PEERS)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable .
	$(BIN)/python $(COMPILE) $(VENV)/lib || true
	touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable ".[test]"
	$(BIN)/python $(COMPILE) $(VENV)/lib || true
	touch $(VENV)/.ready $@

$(VENV)/.ready-train: $(VENV)/.ready-test
	$(BIN)/python $(INSTALL) --constraint constraints.txt --editable ".[test,train,dask,ray,litellm]"
	$(BIN)/python $(COMPILE) $(VENV)/lib || true
	touch $@

$(VLLM)/.ready: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python $(INSTALL) --no-deps --requirement constraints-vllm.txt
	$(VLLM)/bin/python $(INSTALL) --no-deps --editable .
	$(VLLM)/bin/python $(COMPILE) $(VLLM)/lib || true
	touch $@

# Each of those who load our formats in a Python of its own, with as much of it as its loader needs: what is large, such
# as torch, two of them find in ours, behind their own packages. distilabel imports requests, which nothing that it asks
# for brings any more. Together's library checks what is in such a file up to this version; later ones leave it to the
# server.
$(CONSUMERS)/.ready-formats: Makefile $(VENV)/.ready-train
	for name in axolotl llama_factory distilabel together; do $(PYTHON) -m venv $(CONSUMERS)/$$name; done
	for name in axolotl llama_factory; do \
		$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
			> $$(echo $(CONSUMERS)/$$name/lib/python*/site-packages)/ours.pth; done
	$(CONSUMERS)/axolotl/bin/python -m pip install --quiet --no-deps axolotl==0.19.0 addict
	$(CONSUMERS)/llama_factory/bin/python -m pip install --quiet --no-warn-conflicts "transformers>=5.0,<=5.6.0" \
		"trl<=0.24.0" "datasets<=4.0.0" "accelerate<=1.11.0" "peft>=0.18.0,<=0.18.1" torchdata==0.11.0 omegaconf \
		einops fire "tyro<0.9.0" sentencepiece tiktoken scipy av matplotlib sse-starlette fastapi uvicorn
	$(CONSUMERS)/llama_factory/bin/python -m pip install --quiet --no-deps llamafactory==0.9.5
	$(CONSUMERS)/distilabel/bin/python -m pip install --quiet distilabel==1.5.3 requests
	$(CONSUMERS)/together/bin/python -m pip install --quiet together==2.14.0
	touch $@

$(CONSUMERS)/.ready: $(CONSUMERS)/.ready-formats
	$(PYTHON) -m venv $(CONSUMERS)/argilla
	$(CONSUMERS)/argilla/bin/python -m pip install --quiet argilla-server==2.8.0 "click<8.2" fakeredis==2.40.0
	touch $@

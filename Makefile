# Everything here makes the environment it needs; only Python 3.11+, make and a package index are taken for granted.
PYTHON ?= python3
# a CPU build is enough for the tests; choose another build with TORCH=...
TORCH ?= torch==2.13.0
# reads exports to MDS back; it declares an older numpy and clouds that tests do not need
MDS := mosaicml-streaming==0.13.0 brotli python-snappy zstd catalogue omegaconf
DEMO_ENV := .venv/demo
TEST_ENV := .venv/test
NEXT_ENV := .venv/tokenizers-1
TRAINERS_ENV := .venv/trainers
BENCH_ENV := .venv/bench
# the folder of the development corpora
DATA ?= ../shared/data
# peers beside those of the tests; Luxical declares clouds and plots that it does not need here
PEERS := "rensa>=0.5" "spacy>=3.8" "xxhash<4" scikit-learn
LUXICAL := luxical==1.1.2 arrow-tokenize uniplot
DEMO_RUN ?= runs/quickstart
# as many processes as cores; PARALLEL= for one
PARALLEL ?= -n auto
# trainers that declare a newer Python (MaxText, Megatron), other versions of what the tests have (torchtitan), or jax
TRAINERS := maxtext==0.2.5 megatron-core==0.19.2 triton torchtitan==0.3.0 tyro docstring-parser
TRAINERS_WHOLE := levanter==1.2.dev1644 gitpython chex ml-collections google-cloud-storage omegaconf pathwaysutils
PIP := -m pip install --quiet --disable-pip-version-check

# seconds for each attack of make torture: 3600 for a night; ATTACKS= those of tests/torture/__main__.py, all without
SECONDS_EACH ?= 300
ATTACKS ?=
TORTURE_SEED ?= 1

.PHONY: demo test test-tokenizers-1 lint bench loops trainers torture boundscheck clean

demo: $(DEMO_ENV)/.ready
	rm -rf $(DEMO_RUN)
	$(DEMO_ENV)/bin/icp run -c configs/quickstart.yaml --set run=$(DEMO_RUN)
	$(DEMO_ENV)/bin/icp verify $(DEMO_RUN)
	@echo "Shards for a trainer: $(DEMO_RUN)/packs/main/shards   All files: $(DEMO_RUN)"
	@echo "Look at a window:     $(DEMO_ENV)/bin/icp inspect $(DEMO_RUN) --window 0"

test: $(TEST_ENV)/.ready $(TEST_ENV)/.tools
	$(TEST_ENV)/bin/python -m pytest $(PARALLEL) --durations=25

# the same tests of tokens with the next tokenizers, in an environment that sees all else of the test environment
test-tokenizers-1: $(NEXT_ENV)/.ready
	$(NEXT_ENV)/bin/python -m pytest tests/tokenizer tests/steps/tokens

lint: $(TEST_ENV)/.ready
	$(TEST_ENV)/bin/ruff check .
	$(TEST_ENV)/bin/ruff format --check .
	$(TEST_ENV)/bin/mypy

# a browser and a terminal for the tests of what people see; where they cannot be installed, those tests are skipped
TOOLS := chromium chromedriver tmux
TOOL_PACKAGES := chromium chromium-driver tmux

$(TEST_ENV)/.tools: $(TEST_ENV)/.ready
	@for tool in $(TOOLS); do command -v $$tool > /dev/null || missing=1; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(TOOL_PACKAGES) > /dev/null; \
	fi || true
	@for tool in $(TOOLS); do command -v $$tool > /dev/null || echo "no $$tool: its tests are skipped"; done
	@touch $@

# speed claims of the documents (but those of Spark and shards), with peers and versions; a quarter of an hour on two cores. ONLY= some sections (tests/bench/table.py --list)
bench: $(BENCH_ENV)/.ready
	PYTHONPATH=$(CURDIR) $(BENCH_ENV)/bin/python tests/bench/table.py $(DATA) --out docs/bench-table.md $(if $(ONLY),--only $(ONLY))

# ranks, workers, start methods and loaders in all 216 combinations; a quarter of an hour on two cores
loops: $(TEST_ENV)/.ready
	LOOPS=all $(TEST_ENV)/bin/python -m pytest tests/dataset/test_every_loop.py --timeout 1200

# exports and windows in the loaders of trainers that do not install beside the others
trainers: $(TRAINERS_ENV)/.ready
	$(TRAINERS_ENV)/bin/python -m pytest tests/export/test_other_trainers.py tests/export/test_megatron.py

torture: $(TEST_ENV)/.ready
	PYTHONPATH=tests $(TEST_ENV)/bin/python -m torture $(ATTACKS) --seconds $(SECONDS_EACH) --seed $(TORTURE_SEED)

# kernels that read beyond an array raise IndexError here; compiled anew, in a cache of their own
boundscheck: $(TEST_ENV)/.ready
	NUMBA_BOUNDSCHECK=1 XDG_CACHE_HOME=$(CURDIR)/.venv/boundscheck $(TEST_ENV)/bin/python -m pytest $(PARALLEL) \
	  tests/kernels tests/dedup tests/embed tests/knn tests/order tests/pack

clean:
	rm -rf .venv runs build *.egg-info

$(DEMO_ENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "icp needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(DEMO_ENV)
	$(DEMO_ENV)/bin/python $(PIP) --editable .
	touch $@

$(TEST_ENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "icp needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(TEST_ENV)
	$(TEST_ENV)/bin/python $(PIP) "$(TORCH)"
	$(TEST_ENV)/bin/python $(PIP) --editable ".[transformers,dev,loaders,spark]"
	$(TEST_ENV)/bin/python $(PIP) --no-deps $(MDS)
	$(TEST_ENV)/bin/python -m pip uninstall --quiet --yes torchvision # litdata brings it; on a CPU build of torch it breaks imports
	touch $@

$(TRAINERS_ENV)/.ready: $(TEST_ENV)/.ready
	$(TEST_ENV)/bin/python -m venv $(TRAINERS_ENV)
	$(TEST_ENV)/bin/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(TRAINERS_ENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/test.pth"
	$(TRAINERS_ENV)/bin/python $(PIP) "$(TORCH)" $(TRAINERS_WHOLE)
	$(TRAINERS_ENV)/bin/python $(PIP) --no-deps --ignore-requires-python $(TRAINERS)
	touch $@

$(BENCH_ENV)/.ready: $(TEST_ENV)/.ready
	$(TEST_ENV)/bin/python -m venv $(BENCH_ENV)
	$(TEST_ENV)/bin/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(BENCH_ENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/test.pth"
	$(BENCH_ENV)/bin/python $(PIP) $(PEERS)
	$(BENCH_ENV)/bin/python $(PIP) --no-deps $(LUXICAL)
	touch $@

$(NEXT_ENV)/.ready: $(TEST_ENV)/.ready
	$(TEST_ENV)/bin/python -m venv $(NEXT_ENV)
	$(TEST_ENV)/bin/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(NEXT_ENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/test.pth"
	$(NEXT_ENV)/bin/python $(PIP) --pre --no-deps "tokenizers>=1.0.0rc3,<2"
	touch $@

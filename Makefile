# make install   set up .venv with everything pinned
# make smoke     the whole path on real text: prepare, pretrain, resume, tune, answer, reload in transformers
# make test      all tests
# make check     style and layout
# make docs      the documentation site, its links checked: build/docs/site/index.html
# make bench TEXT=tinyshakespeare.txt   the learning curves of docs/learning.md

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
PIP    := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DONE   := $(VENV)/.installed

.PHONY: install smoke test style check docs bench clean

install: $(DONE)

# torch comes first: DeepSpeed's build looks for it, and a CPU build that is there already is kept.
$(DONE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch setuptools wheel
	$(PIP) --no-build-isolation deepspeed
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@

smoke: $(DONE)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" launch/smoke.sh

# Files side by side: their tests wait for processes of their own most of the time. What fails is tried once more and, where
# it then passes, listed as RERUN: a busy machine, or a fault that shows now and then, to be looked into either way.
test: $(DONE)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --reruns 1 -raR

style: $(DONE)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

check: style
	$(VENV)/bin/python -m pytest tests/test_house.py tests/test_configs.py

docs: $(DONE)
	$(VENV)/bin/python -m docs.build build/docs

bench: $(DONE)
	$(VENV)/bin/python benchmarks/learning.py --text $(TEXT)

clean:
	rm -rf $(VENV) build dist *.egg-info

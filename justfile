# What one does with this checkout; `just` lists it.

python := ".venv/bin/python"

# List the recipes
default:
    @just --list

# Make the virtual environment
install:
    python3.11 -m venv .venv
    .venv/bin/pip install -e '.[test]'

# Open the window
run *arguments:
    {{python}} -m workbench {{arguments}}

# Every test, on all cores
test *arguments:
    {{python}} -m pytest -n logical --dist loadfile {{arguments}}

# The tests that take no long time: a loop of about two minutes
fast *arguments:
    {{python}} -m pytest -n logical --dist loadfile -m "not slow and not sweep and not xvfb" {{arguments}}

# Linters and types
lint:
    .venv/bin/ruff check .
    .venv/bin/lint-imports
    .venv/bin/mypy

# Train with an older revision and with this tree, and compare every number
same-numbers revision:
    {{python}} tests/tools/same_numbers.py {{revision}}

# Pictures of every view and dialog
pictures folder:
    {{python}} resources/screenshots/make_screenshots.py {{folder}} --all

#!/bin/sh
# Makes a virtual environment from the first Python 3.11 or later that can: sh deploy/venv.sh FOLDER
# PYTHON=… chooses the interpreter. An environment that works is kept.
set -eu
venv=$1

if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
found=
for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3 /usr/bin/python3; do
    # Tried, not looked up: a version manager's shim may exist for a version that does not.
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        found=$candidate
        break
    fi
done
if [ -z "$found" ]; then
    echo "Touchstone needs Python 3.11 or later with its venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2
    echo "Name one with PYTHON=/path/to/python3 if it is installed elsewhere." >&2
    exit 1
fi
echo "Making $venv with $("$found" --version) …"
"$found" -m venv --clear "$venv"

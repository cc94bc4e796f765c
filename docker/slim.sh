#!/bin/sh
# Make a virtual environment small, and compile it and Python's own library once and for all.
#   slim.sh VENV STDLIB: byte code of Python's library is put below STDLIB, at its place
set -eu
venv=$1 stdlib=$2
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
library=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')

find "$packages" -depth -type d \( -name tests -o -name test -o -name __pycache__ \) -exec rm -rf {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' \) -delete
find "$packages" -name '*.so' -exec strip --strip-unneeded {} +
# Programs of the dependencies; ours, and Python, stay.
find "$venv/bin" -mindepth 1 ! -name 'python*' ! -name esquirell ! -name celery -delete
"$venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$packages"

mkdir -p "$stdlib"
[ -z "$(find "$library/__pycache__" -name 'argparse.*.pyc' 2>/dev/null)" ] || exit 0
"$venv/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -x '/(test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3|pydoc_data|site-packages|__phello__)/' "$library"
cd /
find "${library#/}" -name '*.pyc' -path '*/__pycache__/*' ! -path '*/site-packages/*' |
    tar -cf - -T - | tar -xf - -C "$stdlib"

#!/bin/sh
# Installs the locked packages (`packages`), then Playhead itself (`playhead`), into a virtual environment, and takes out
# what a server never loads. Apart, so that a change of Playhead alone does not install everything again.
# Usage, in a checkout: scripts/container/build.sh packages|playhead TARGET      UV names another uv than the one it fetches.
set -eu

step=$1
UV_PROJECT_ENVIRONMENT=$2
export UV_PROJECT_ENVIRONMENT UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_CACHE="${UV_NO_CACHE-1}"

fetch_uv() {
    python3 -m venv /opt/uv
    /opt/uv/bin/pip install --quiet --no-cache-dir uv==0.13.9
}

# Extras of uvicorn that this server does not use: WebSockets, settings in YAML.
sync() {
    "$UV" sync --frozen --quiet --no-dev --no-editable --python "$(command -v python3)" \
        --no-install-package websockets --no-install-package pyyaml "$@"
}

# Tests of the packages, dialects of other databases, tools beside SQLite, and debugging symbols. What was linked to libraries of its own (NAME.libs) is left as it is: its
# headers were rewritten, and stripping would break them.
trim() {
    site=$(echo "$UV_PROJECT_ENVIRONMENT"/lib/python3*/site-packages)
    for folder in apsw/tests apsw/fts_test_strings apsw/sqlite_extra_binaries alembic/testing guessit/test mako/testing \
        rebulk/test sqlalchemy/testing sqlalchemy/dialects/mysql sqlalchemy/dialects/mssql sqlalchemy/dialects/oracle; do
        rm -rf "${site:?}/$folder"
    done
    # Data of the languages that the pages have, of some eight hundred; `root` is what all others are based on.
    find "$site/babel/locale-data" -name '*.dat' ! -name 'root.dat' ! -name 'en*.dat' ! -name 'de*.dat' -delete
    # rich asks for a lexer only to show source code.
    find "$site/pygments/lexers" -name '*.py*' ! -name '__init__*' ! -name '_mapping*' ! -name 'special*' -delete
    if command -v strip >/dev/null 2>&1; then
        for package in apsw httptools msgspec pydantic_core sqlalchemy uvloop watchfiles; do
            [ ! -e "$site/$package.libs" ] || continue
            find "$site/$package" -name '*.so' -exec strip --strip-unneeded {} +
        done
    fi
}

[ -n "${UV-}" ] || { [ -x /opt/uv/bin/uv ] || fetch_uv; UV=/opt/uv/bin/uv; }
case $step in
packages)
    sync --no-install-project
    trim
    ;;
playhead)
    "$UV" pip install --quiet --no-deps --python "$UV_PROJECT_ENVIRONMENT/bin/python" .
    ;;
*)
    echo "Usage: $0 packages|playhead TARGET" >&2
    exit 2
    ;;
esac

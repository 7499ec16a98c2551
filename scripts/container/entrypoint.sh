#!/bin/sh
# `playhead` in the container, both as its entry point and for `docker exec`: started as root it becomes PUID:PGID, so that a
# command that somebody runs as root leaves nothing behind that the server cannot open.
set -eu

fail() {
    echo "playhead: $1" >&2
    exit 1
}

data=${PLAYHEAD_DATA:-/data}
program=${PROGRAM:-/opt/playhead/bin/playhead}

if [ "$(id -u)" = 0 ]; then
    uid=${PUID:-1000}
    gid=${PGID:-1000}
    case "$uid:$gid" in
    *[!0-9:]* | :* | *:) fail "PUID and PGID must be numbers, not '$uid' and '$gid'" ;;
    0:*) fail "PUID must not be 0: Playhead needs no root" ;;
    esac
    mkdir -p "$data"
    # Only when the owner is another one: looking through every file at each start would take minutes on a large disk.
    [ "$(stat -c %u:%g "$data")" = "$uid:$gid" ] || chown -R "$uid:$gid" "$data"
    PUID='' PGID='' exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --inh-caps=-all --bounding-set=-all \
        --no-new-privs "$0" "$@"
fi

if [ -n "${PUID-}" ] && [ "$PUID" != "$(id -u)" ]; then
    echo "playhead: PUID is $PUID, but the container runs as $(id -u): it counts only when the container starts as root" >&2
fi
[ -d "$data" ] || mkdir -p "$data" 2>/dev/null || fail "there is no folder $data, and it cannot be made; mount a volume there"
[ -w "$data" ] || fail "$data cannot be written by user $(id -u), group $(id -g); give it to them, or set PUID and PGID"

umask "${UMASK:-077}"
exec "$program" "$@"

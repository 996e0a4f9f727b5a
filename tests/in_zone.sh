#!/usr/bin/env bash
# in_zone.sh ZONE COMMAND…: runs a command in a time zone, and prints what it said in one piece.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
TZ=$1 "${@:2}" > "$said" 2>&1
code=$?
echo "== $1"
cat "$said"
exit $code

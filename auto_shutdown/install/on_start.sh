
# What follows is the same in every script; what differs stands above. Nothing here may ever fail
# the start of the app: it says what went wrong, and the start goes on.
set -u
SECONDS=0
STATUS=0
CHANGED=
PYTHON=$ENVIRONMENT/bin/python
CONFIGURATION_FILE=/etc/jupyter/jupyter_server_config.d/auto_shutdown_admin.json
SUPERVISOR=/etc/supervisor/conf.d/supervisord.conf
RESTART_DELAY=30
trap 'exit "$STATUS"' EXIT
trap 'exit' HUP INT TERM
export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

say() { echo "auto-shutdown: $*"; }

# Whatever may have to wait runs within the time: SageMaker gives it five minutes in all.
within() {
  local left=$((DEADLINE - SECONDS))
  if ((left <= 0)); then
    say "no time is left" >&2
    return 1
  fi
  timeout -k 5 "$left" "$@"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then within "$@"; else within sudo -n "$@"; fi
}

# The lifecycle configuration that was the default before this one. Its verdict stays its own.
run_previous() {
  local script
  script=$(mktemp) && base64 -d <<<"$PREVIOUS" | gunzip >"$script" && chmod 700 "$script" || return
  "$script"
  STATUS=$?
  rm -f "$script"
  say "the lifecycle configuration from before ended with $STATUS after $SECONDS s"
}

# The version that a server of this environment loads; fails where it would load none.
installed() {
  within "$PYTHON" -c 'import importlib.metadata, auto_shutdown.extension
print(importlib.metadata.version("jupyterlab-auto-shutdown"))' 2>/dev/null
}

# With --isolated, so that no pip.conf and no variable of the user's sends it elsewhere (--user).
run_pip() {
  local command=$1 options=()
  shift
  # Some distributions close their environment to pip; a pip that heeds that knows the option.
  compgen -G "$ENVIRONMENT/lib/python3.*/EXTERNALLY-MANAGED" >/dev/null &&
    options=(--break-system-packages)
  within "$PYTHON" -m pip --isolated --disable-pip-version-check --no-input "$command" \
    ${options[@]+"${options[@]}"} "$@" >"$WORK/log" 2>&1
}

# Prints the wheel's path, or the requirement.
fetch() {
  local wheel
  case $SOURCE in
    s3://*)
      wheel=$WORK/${SOURCE##*/}
      within "$PYTHON" -c 'import os, sys
address, path, region = sys.argv[1:]
bucket, key = address[5:].split("/", 1)
try:
    import boto3
    boto3.session.Session(region_name=region or None).client("s3").download_file(bucket, key, path)
except Exception as error:
    code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
    sys.exit(f"{address}: {type(error).__name__} {code}")
' "$SOURCE" "$wheel" "$REGION" 2>"$WORK/log" || return
      echo "$wheel"
      ;;
    /*)
      # Copied, for pip's own syntax reads some characters of a path in its own way.
      wheel=$WORK/${SOURCE##*/}
      within cp -- "$SOURCE" "$wheel" 2>"$WORK/log" || return
      echo "$wheel"
      ;;
    *) echo "$SOURCE" ;;
  esac
}

install_wheel() {
  local requirement options=(--no-index)
  requirement=$(fetch) || return
  [ "$requirement" = "$SOURCE" ] && options=(${INDEX_URL:+--index-url "$INDEX_URL"})
  echo "$requirement${SHA256:+ --hash=sha256:$SHA256}" >"$WORK/requirements.txt"
  run_pip install --no-deps --no-user --force-reinstall --retries 2 --timeout 15 \
    ${options[@]+"${options[@]}"} --requirement "$WORK/requirements.txt" || return
  CHANGED=yes
  [ "$(installed)" = "$VERSION" ] && return
  run_pip uninstall --yes jupyterlab-auto-shutdown
  echo "What came from there is not a $VERSION that loads; it was taken out again." >"$WORK/log"
  return 1
}

# Puts the configuration into file $1 by way of $2; nothing where it stands there already.
put() {
  [ "$(cat "$1" 2>/dev/null)" = "$CONFIGURATION" ] && return
  printf '%s\n' "$CONFIGURATION" >"$WORK/configuration"
  "$2" mkdir -p -m 755 "${1%/*}" && "$2" install -m 644 "$WORK/configuration" "$1.new" &&
    "$2" mv "$1.new" "$1" && CHANGED=yes
} 2>"$WORK/log"

write_configuration() {
  if [ -z "$CONFIGURATION" ]; then
    [ ! -e "$CONFIGURATION_FILE" ] || { as_root rm "$CONFIGURATION_FILE" && CHANGED=yes; }
  elif ! put "$CONFIGURATION_FILE" as_root; then
    say "no root rights here: the configuration goes to where users of this environment can edit it"
    put "$ENVIRONMENT/etc/jupyter/jupyter_server_config.d/${CONFIGURATION_FILE##*/}" within
  fi
}

# A server that has begun before all this was there has not seen it.
restart() {
  if [ "$PLATFORM" = notebook-instance ]; then
    within systemctl --quiet is-active jupyter-server.service || return 0
    say "restarting the server"
    within systemctl --no-block restart jupyter-server.service
  elif within supervisorctl -c "$SUPERVISOR" status jupyterlabserver 2>/dev/null |
    grep -Eq 'STARTING|RUNNING'; then
    say "restarting the server in $RESTART_DELAY s"
    nohup bash -c "sleep $RESTART_DELAY; supervisorctl -c $SUPERVISOR restart jupyterlabserver" \
      </dev/null >/dev/null 2>&1 &
  fi
}

main() {
  cd /
  # What a user has put in their home must not come in the way of this.
  export PYTHONNOUSERSITE=1
  unset PYTHONPATH PYTHONHOME
  if [ -n "${SAGEMAKER_RECOVERY_MODE:-}" ] && [ "$SAGEMAKER_RECOVERY_MODE" != false ]; then
    say "recovery mode: nothing is done"
    return
  fi
  if ! within "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    say "there is no Python 3.9 or newer at $PYTHON; nothing is done"
    return
  fi
  # First what the administrator decided: without it, nothing is armed.
  if ! write_configuration; then
    say "the configuration cannot be written; nothing is installed: $(tail -n 2 "$WORK/log")"
    return
  fi
  if [ "$(installed)" = "$VERSION" ]; then
    say "$VERSION is there already"
  elif install_wheel; then
    say "$VERSION installed in $ENVIRONMENT"
  else
    say "not installed from $SOURCE: $(tail -n 3 "$WORK/log")"
  fi
  [ -z "$CHANGED" ] || restart
}

[ -z "$PREVIOUS" ] || run_previous
if WORK=$(mktemp -d); then
  main
  rm -rf "$WORK"
fi
say "done after $SECONDS s"
exit

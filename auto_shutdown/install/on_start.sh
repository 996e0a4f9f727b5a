
# The rest is the same in every script; only the variables above differ. The script never fails the
# start of the app: it logs each error, and the app then starts without auto shutdown.
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

# Runs a command that may take long, until the deadline: SageMaker allows five minutes in all.
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

# Runs the lifecycle configuration that this one replaced. The script ends with its exit code.
run_previous() {
  local script
  script=$(mktemp) && base64 -d <<<"$PREVIOUS" | gunzip >"$script" && chmod 700 "$script" || return
  "$script"
  STATUS=$?
  rm -f "$script"
  say "the lifecycle configuration from before ended with $STATUS after $SECONDS s"
}

# Prints the version that a server of this environment loads; fails if it would load none.
installed() {
  within "$PYTHON" -c 'import importlib.metadata, auto_shutdown.extension
print(importlib.metadata.version("jupyterlab-auto-shutdown"))' 2>/dev/null
}

# --isolated, so that neither a pip.conf nor a variable of the user redirects it (--user).
run_pip() {
  local command=$1 options=()
  shift
  # Some distributions close their environment to pip; a pip that obeys them knows the option.
  compgen -G "$ENVIRONMENT/lib/python3.*/EXTERNALLY-MANAGED" >/dev/null &&
    options=(--break-system-packages)
  within "$PYTHON" -m pip --isolated --disable-pip-version-check --no-input "$command" \
    ${options[@]+"${options[@]}"} "$@" >"$WORK/log" 2>&1
}

# Gets the wheel. Prints its path, or the requirement for an index.
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
      # A copy, because some characters of a path have a meaning in a requirements file.
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
  echo "That wheel is not a version $VERSION that loads; it was uninstalled again." >"$WORK/log"
  return 1
}

# Writes the configuration into file $1 with the rights of $2, unless it is there already.
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

# A server that started before the installation has not loaded the extension. A process in the
# background waits until no kernel and no terminal runs in the server, and restarts it.
restart() {
  local command=(supervisorctl -c "$SUPERVISOR" restart jupyterlabserver)
  if [ "$PLATFORM" = notebook-instance ]; then
    within systemctl --quiet is-active jupyter-server.service || return 0
    command=(systemctl --no-block restart jupyter-server.service)
  else
    within supervisorctl -c "$SUPERVISOR" status jupyterlabserver 2>/dev/null |
      grep -Eq 'STARTING|RUNNING' || return 0
  fi
  say "the server runs already; it is restarted as soon as no kernel and no terminal runs in it"
  nohup "$PYTHON" -m auto_shutdown.install.restart "$PLATFORM" "$RESTART_DELAY" "${command[@]}" \
    </dev/null >/dev/null 2>&1 &
}

main() {
  cd /
  # Packages in the user's home must not interfere.
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
  # Written first, because the extension must not run without its configuration.
  if ! write_configuration; then
    say "the configuration cannot be written; nothing is installed: $(tail -n 2 "$WORK/log")"
    return
  fi
  if [ "$(installed)" = "$VERSION" ]; then
    say "$VERSION is installed already"
  elif install_wheel; then
    say "$VERSION installed in $ENVIRONMENT"
  else
    say "not installed from $SOURCE: $(tail -n 3 "$WORK/log")"
    BEFORE=$(installed) && say "$BEFORE, which was installed before, stays"
  fi
  [ -z "$CHANGED" ] || ! installed >/dev/null || restart
}

[ -z "$PREVIOUS" ] || run_previous
if WORK=$(mktemp -d); then
  main
  rm -rf "$WORK"
fi
say "done after $SECONDS s"
exit

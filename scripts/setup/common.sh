# What the parts of the set-up share; sourced, first. Expects `root`, the repository.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/fused_ssim # shared by every clone
venv=$cache/venv
log=$root/build/setup.log

say() { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }

# step WHAT REMEDY COMMAND...: runs COMMAND; where it fails, says what and what to do.
step() {
  local what=$1 remedy=$2
  shift 2
  say "$what"
  if ! "$@" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "failed: $what. $remedy (all output: $log)"
  fi
}

# Two set-ups at once would install into one environment.
begin_setup() {
  mkdir -p "$root/build" "$cache"
  exec 9>"$cache/lock"
  flock 9
}

# --- Python's packages, from PyPI ---

make_venv() {
  [ -x "$venv/bin/pip" ] || step "making the virtual environment $venv" \
    "Is python3-venv installed?" python3 -m venv "$venv"
}

pip_install() { # WHAT REQUIREMENT
  make_venv
  # Neither a second copy in pip's cache nor byte code of Python that nobody runs.
  step "$1" "Is the network up, and are there 8 GB free in $cache?" \
    "$venv/bin/pip" install --no-cache-dir --no-compile --disable-pip-version-check "$2"
}

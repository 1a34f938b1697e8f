# The distribution's packages; sourced.

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# install_packages WANTED...: package:command, or only the package where it brings a
# library.
install_packages() {
  local entry missing=() libraries=()
  for entry in "$@"; do
    case $entry in
      *:*) command -v "${entry#*:}" >/dev/null || missing+=("${entry%:*}") ;;
      *) libraries+=("$entry") ;;
    esac
  done
  if ! command -v dpkg-query >/dev/null; then
    [ ${#missing[@]} = 0 ] || fail "this system has no apt-get; please install: ${missing[*]}"
    [ ${#libraries[@]} = 0 ] || say "this system has no apt-get; it needs what Debian calls ${libraries[*]}"
    return 0
  fi
  local installed=
  [ ${#libraries[@]} = 0 ] || installed=$(
    dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${libraries[@]}" 2>/dev/null || true)
  for entry in "${libraries[@]}"; do
    grep -qx "installed $entry" <<<"$installed" || missing+=("$entry")
  done
  [ ${#missing[@]} != 0 ] || return 0
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null \
    || fail "there is no sudo; as root, run: apt-get install ${missing[*]}"
  local remedy="Is the network up? By hand: apt-get update && apt-get install ${missing[*]}"
  step "updating the list of packages" "$remedy" as_root apt-get update -q
  step "installing ${missing[*]}" "$remedy" \
    as_root apt-get install -qy --no-install-recommends "${missing[@]}"
}

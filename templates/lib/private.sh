# shellcheck shell=bash
# shellcheck disable=SC2310 # every function in this file returns its status and does not rely on set -e
# Private directories, whose contents can be trusted. Job ids can be guessed, so another user may have created a directory in
# /tmp that is named after the job. A directory is private if it belongs to this user and no other user can write to it or
# replace it: no parent directory and no link on the path belongs to another user or is writable by others.

# Creates a directory that only this user can enter. Fails if the name is taken, even by a dangling link.
private::create() {
  local -r directory="$1"
  mkdir -m 700 -- "${directory}" || return
  private::check "${directory}"
}

# Creates a private directory, or accepts an existing one.
private::ensure() {
  local -r directory="$1"
  mkdir -m 700 -- "${directory}" 2>/dev/null || true
  private::check "${directory}"
}

# Creates a directory again after removing what an earlier attempt of this job left. Fails if it belongs to another user.
private::renew() {
  local -r directory="$1"
  private::require_own "${directory}" || return
  rm -rf -- "${directory}" || return
  private::create "${directory}"
}

# Fails, with the reason on stderr, unless a directory is private.
private::check() {
  local -r directory="$1"
  local path above
  if [[ -L "${directory}" ]]; then # the owner of a link, and those who can replace it, control its target
    private::require_own "${directory}" || return
    above="$(cd -P -- "${directory%/*}/" && pwd -P)" || return
    private::_check_parents "${directory}" "${above%/}/link" || return
  fi
  if ! path="$(cd -P -- "${directory}" 2>/dev/null && pwd -P)"; then
    private::_refuse "${directory}" "is not an accessible directory"
    return 1
  fi
  private::require_own "${path}" || return
  if private::_is_open "${path}"; then
    private::_refuse "${directory}" "is writable by other users" "chmod go-w '${path}'"
    return 1
  fi
  private::_check_parents "${directory}" "${path}"
}

# Fails if a path belongs to another user. Links are not followed.
private::require_own() {
  local -r path="$1"
  local owner
  owner="$(stat -c %u -- "${path}" 2>/dev/null)" || return 0 # it does not exist
  [[ "${owner}" != "${EUID}" ]] || return 0
  private::_refuse "${path}" "belongs to user ${owner}, not to you (${EUID})"
  return 1
}

# Checks the parent directories of a path, up to the first that belongs to root or is sticky, where only the owner of an entry
# can rename it.
private::_check_parents() {
  local -r directory="$1"
  local path="$2" owner
  while [[ "${path}" == /?* ]]; do
    path="${path%/*}"
    owner="$(stat -c %u -- "${path:-/}")" || return
    if [[ -k "${path:-/}" ]]; then
      return 0
    elif ((owner == 0)) || private::_is_unmapped "${owner}"; then
      private::_warn_if_open "${path:-/}"
      return 0
    elif ((owner != EUID)); then
      private::_refuse "${directory}" "is below ${path}, which belongs to user ${owner}"
      return 1
    elif private::_is_open "${path}"; then
      private::_refuse "${directory}" "is below ${path}, which is writable by other users" "chmod go-w '${path}'"
      return 1
    fi
  done
}

# Whether the group or others can write to a directory.
private::_is_open() {
  local mode
  mode="$(stat -c %a -- "$1")" || return 0
  ((8#${mode} & 8#022))
}

# Whether the user namespace does not map an owner. An unprivileged container shows root of the host like that.
private::_is_unmapped() {
  local -r owner="$1"
  local first count
  [[ "${owner}" == 65534 && -r /proc/self/uid_map ]] || return 1
  while read -r first _ count; do
    if ((owner >= first && owner < first + count)); then
      return 1
    fi
  done </proc/self/uid_map
}

# Warns about a directory of root that others can write to: the administrator chose that, and /tmp of an image is often so.
private::_warn_if_open() {
  local -r path="$1"
  if private::_is_open "${path}"; then
    printf 'warning: any user can replace files in %s; as root, run: chmod +t %q\n' "${path}" "${path}" >&2
  fi
}

private::_refuse() {
  local -r path="$1" reason="$2" help="${3:-}"
  printf 'not private: %s %s%s\n' "${path}" "${reason}" "${help:+; run: ${help}}" >&2
}

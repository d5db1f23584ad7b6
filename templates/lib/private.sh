# shellcheck shell=bash
# shellcheck disable=SC2310 # in this file every function answers by its code, and nothing counts on set -e
# Directories whose contents are trusted. Job ids can be guessed, so a directory in /tmp that is named after the job may have
# been created by another user. A directory is private if it belongs to this user, nobody else can write in it, and nobody
# else can replace it: neither a directory above it nor a link on the way belongs to another user or lets others write.

# Creates a directory that only this user can enter. Fails if the name is taken, even by a dangling link.
private::create() {
  local -r directory="$1"
  mkdir -m 700 -- "${directory}" || return
  private::check "${directory}"
}

# Creates a private directory, or accepts one that is there.
private::ensure() {
  local -r directory="$1"
  mkdir -m 700 -- "${directory}" 2>/dev/null || true
  private::check "${directory}"
}

# Removes what an earlier attempt of this job left, and creates the directory anew. Fails if the name is another user's.
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
  if [[ -L "${directory}" ]]; then # whoever owns the link, or may replace it, decides where it leads
    private::require_own "${directory}" || return
    above="$(cd -P -- "${directory%/*}/" && pwd -P)" || return
    private::_check_parents "${directory}" "${above%/}/link" || return
  fi
  if ! path="$(cd -P -- "${directory}" 2>/dev/null && pwd -P)"; then
    private::_refuse "${directory}" "is not a directory that can be entered"
    return 1
  fi
  private::require_own "${path}" || return
  if private::_is_open "${path}"; then
    private::_refuse "${directory}" "can be written by other users" "chmod go-w '${path}'"
    return 1
  fi
  private::_check_parents "${directory}" "${path}"
}

# Fails if a name is taken by another user. A link counts as itself.
private::require_own() {
  local -r path="$1"
  local owner
  owner="$(stat -c %u -- "${path}" 2>/dev/null)" || return 0 # the name is free
  [[ "${owner}" != "${EUID}" ]] || return 0
  private::_refuse "${path}" "belongs to user ${owner}, not to this user (${EUID})"
  return 1
}

# Looks at the directories above a path, up to the first that is root's or sticky: there only the owner renames an entry.
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
      private::_refuse "${directory}" "lies below ${path}, which belongs to user ${owner}"
      return 1
    elif private::_is_open "${path}"; then
      private::_refuse "${directory}" "lies below ${path}, which other users can write" "chmod go-w '${path}'"
      return 1
    fi
  done
}

# Whether the group or others can write.
private::_is_open() {
  local mode
  mode="$(stat -c %a -- "$1")" || return 0
  ((8#${mode} & 8#022))
}

# Whether a user namespace does not map this owner: a host's root is shown like that in an unprivileged container.
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

# An open directory of root's is the administrator's decision, and often an image's /tmp.
private::_warn_if_open() {
  local -r path="$1"
  if private::_is_open "${path}"; then
    printf 'warning: any user can replace what lies in %s; root can prevent that: chmod +t %q\n' "${path}" "${path}" >&2
  fi
}

private::_refuse() {
  local -r path="$1" reason="$2" help="${3:-}"
  printf 'not private: %s %s%s\n' "${path}" "${reason}" "${help:+; run: ${help}}" >&2
}

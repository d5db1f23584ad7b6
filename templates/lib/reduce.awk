# Reduces a large JSON report to its totals: the top-level numbers of the last document, and the number of prompt lengths as
# "sent". Out: a small JSON object; nothing, and exit code 1, if the report is truncated.
#
# json.awk keeps every value, which takes minutes for the times of millions of tokens. This program reads records that end with
# "]" and looks only at strings and brackets.

BEGIN { RS = "]" }

NR > 1 && !in_string { bracket("]") }

{
  n = split($0, PART, /"/) # with a string as separator, original-awk also splits at newlines
  for (k = 1; k <= n; k++) {
    if (k > 1) toggle_string()
    if (in_string) {
      key = is_new ? PART[k] : "" # no key of interest has escapes or brackets
      is_new = 0
      is_escape = match(PART[k], /\\+$/) && RLENGTH % 2
    } else {
      rest = PART[k] # for the same reason as in record.awk
      scan_structure(rest)
    }
  }
}

END {
  if (is_broken || depth || in_string || !documents) exit 1
  printf "{"
  for (key in FIGURE) printf "\"%s\":%s,", key, FIGURE[key]
  print "\"reduced\":1}"
}

# Handles a quote: it begins or ends a string, unless a backslash escapes it.
function toggle_string() {
  if (in_string && is_escape) return
  is_new = in_string = !in_string
}

# Handles the text between two strings.
function scan_structure(rest) {
  if (depth == 1 && key != "") record_member(rest)
  key = ""
  while (match(rest, /[[{}]/)) {
    bracket(substr(rest, RSTART, 1))
    rest = substr(rest, RSTART + 1)
  }
}

# Records the value of a member, at the beginning of the text after its key.
function record_member(rest,    value) {
  if (!match(rest, /^[ \t\r\n]*:[ \t\r\n]*/)) return
  value = substr(rest, RLENGTH + 1, 40)
  if (match(value, /^-?[0-9][-+.0-9eE]*/)) FIGURE[key] = substr(value, 1, RLENGTH)
  else if (key == "input_lens" && rest ~ /^[^[]*\[[0-9, \t\r\n]+$/) FIGURE["sent"] = split(rest, LENGTHS, /,/)
}

# Handles a bracket: tracks the depth and detects truncated reports.
function bracket(c,    name) {
  if (c ~ /[[{]/) {
    if (depth == 0) {
      for (name in FIGURE) delete FIGURE[name]
      documents++
    }
    OPEN[++depth] = c
  } else if (!depth || OPEN[depth--] != (c == "]" ? "[" : "{")) {
    is_broken = 1
  }
}

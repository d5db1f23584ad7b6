# The figures of a large JSON report without what fills it: of the last document its own members that are numbers, and as
# "sent" how many prompts' lengths it lists. Out: a small JSON object; nothing, and exit code 1, for what is cut off.
#
# json.awk keeps every value, which takes minutes with the times of millions of tokens. Here the input comes in parts that
# end with "]", and of those only texts and brackets are looked at.

BEGIN { RS = "]" }

NR > 1 && !in_text { bracket("]") }

{
  n = split($0, PART, /"/) # original-awk divides at a newline, too, unless it is given a pattern
  for (k = 1; k <= n; k++) {
    if (k > 1) quote()
    if (in_text) {
      key = is_new ? PART[k] : "" # one with escapes, or with a bracket, is none of ours
      is_new = 0
      is_escape = match(PART[k], /\\+$/) && RLENGTH % 2
    } else {
      rest = PART[k] # an element itself is not passed on: see record.awk
      between(rest)
    }
  }
}

END {
  if (is_broken || depth || in_text || !documents) exit 1
  printf "{"
  for (key in FIGURE) printf "\"%s\":%s,", key, FIGURE[key]
  print "\"reduced\":1}"
}

# A quote begins or ends a text, unless a backslash stands before it.
function quote() {
  if (in_text && is_escape) return
  is_new = in_text = !in_text
}

# What stands between two texts.
function between(rest) {
  if (depth == 1 && key != "") member(rest)
  key = ""
  while (match(rest, /[[{}]/)) {
    bracket(substr(rest, RSTART, 1))
    rest = substr(rest, RSTART + 1)
  }
}

# Notes the value of a member, which begins what follows its key.
function member(rest,    value) {
  if (!match(rest, /^[ \t\r\n]*:[ \t\r\n]*/)) return
  value = substr(rest, RLENGTH + 1, 40)
  if (match(value, /^-?[0-9][-+.0-9eE]*/)) FIGURE[key] = substr(value, 1, RLENGTH)
  else if (key == "input_lens" && rest ~ /^[^[]*\[[0-9, \t\r\n]+$/) FIGURE["sent"] = split(rest, LENGTHS, /,/)
}

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

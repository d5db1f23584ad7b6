# Replaces a dependency in a Cargo.toml: CRATE is its name, ENTRY the line that takes its place.
# Ends with 0 if there was one, 1 if there was none, 3 if it is a table of its own ([dependencies.CRATE]).

BEGIN {
  name = ENVIRON["CRATE"]
  entry = ENVIRON["ENTRY"]
  declaration = "^[ \t]*\"?" name "\"?[ \t]*[.=]"
  table = "dependencies[.]\"?" name "\"?[ \t]*\\]"
  code = 1
}

# the rest of a declaration of several lines
depth > 0 {
  depth += opened($0)
  next
}

/^[ \t]*\[/ {
  if ($0 ~ table) {
    code = 3
    exit
  }
  inside = ($0 ~ /dependencies[ \t]*\]/)
  written = 0
}

inside && $0 ~ declaration {
  depth = opened($0)
  if (!written) {
    print entry
  }
  written = 1
  code = 0
  next
}

{ print }

END { exit code }

# How many brackets a line opens and does not close.
function opened(line, count) {
  gsub(/"[^"]*"/, "", line)
  sub(/#.*/, "", line)
  count = gsub(/[[{]/, "", line)
  return count - gsub(/[]}]/, "", line)
}

# Replaces a dependency in a Cargo.toml: CRATE is its name, ENTRY the replacement line.
# Exits with 0 if the dependency was found, 1 if not, 3 if it is declared as a table ([dependencies.CRATE]).

BEGIN {
  name = ENVIRON["CRATE"]
  entry = ENVIRON["ENTRY"]
  declaration = "^[ \t]*\"?" name "\"?[ \t]*[.=]"
  table = "dependencies[.]\"?" name "\"?[ \t]*\\]"
  code = 1
}

# the rest of a multi-line declaration
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

# The number of brackets that a line opens minus those that it closes.
function opened(line, count) {
  gsub(/"[^"]*"/, "", line)
  sub(/#.*/, "", line)
  count = gsub(/[[{]/, "", line)
  return count - gsub(/[]}]/, "", line)
}

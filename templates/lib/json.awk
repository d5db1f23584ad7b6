# A JSON parser. For every value of the input, KIND[pointer] is its kind (object, array, string, number, true, false, null),
# VALUE[pointer] the decoded text or the number as written, and SIZE[pointer] the number of its members.
# Pointers follow RFC 6901: "/instances/0/endpoint"; the document itself is "".
#
# Of several documents (JSON lines) only the last one is kept. VALID is 1 if the input is valid JSON.
# Requires LC_ALL=C: text is bytes. NaN and Infinity count as numbers, as Python writes them.

BEGIN { RS = "\001" } # never occurs in JSON, so the whole input is one record
{ JSON_TEXT = JSON_TEXT $0 }
END { VALID = json_parse() }

function json_parse(    c, want, documents) {
  JSON_AT = 1
  JSON_DEPTH = 0
  want = "value"
  while ((c = json_next()) != "") {
    if (want == "value" || want == "value or ]" && c != "]") {
      if (JSON_DEPTH == 0) {
        delete_all()
        documents++
      }
      want = json_value(c)
    } else if (want ~ /^key/ && c == "\"") {
      want = json_key()
    } else if (want == ":" && c == ":") {
      JSON_AT++
      want = "value"
    } else if (want == ", or end" && c == ",") {
      JSON_AT++
      want = JSON_OPEN[JSON_DEPTH] == "{" ? "key" : "value"
    } else if (JSON_DEPTH > 0 && want ~ /(\]|\}|end)$/ && c == (JSON_OPEN[JSON_DEPTH] == "{" ? "}" : "]")) {
      JSON_AT++
      JSON_DEPTH--
      want = json_after()
    } else {
      return 0
    }
    if (want == "") return 0
  }
  return documents > 0 && JSON_DEPTH == 0
}

# The next character that is not white space, "" at the end.
function json_next() {
  while (match(substr(JSON_TEXT, JSON_AT, 64), /^[ \t\r\n]+/)) JSON_AT += RLENGTH
  return substr(JSON_TEXT, JSON_AT, 1)
}

# What may follow a value.
function json_after() {
  return JSON_DEPTH ? ", or end" : "value"
}

# Reads a value that begins with c; only opens an object or array.
function json_value(c,    at, token) {
  at = json_here()
  if (c == "{" || c == "[") {
    JSON_AT++
    KIND[at] = c == "{" ? "object" : "array"
    SIZE[at] = 0
    JSON_OPEN[++JSON_DEPTH] = c
    JSON_PATH[JSON_DEPTH] = at
    return c == "{" ? "key or }" : "value or ]"
  }
  if (c == "\"") {
    if (!json_string()) return ""
    KIND[at] = "string"
    VALUE[at] = JSON_STRING
    return json_after()
  }
  match(substr(JSON_TEXT, JSON_AT, 400), /^[-+.A-Za-z0-9]+/)
  token = substr(JSON_TEXT, JSON_AT, RLENGTH)
  JSON_AT += RLENGTH
  VALUE[at] = token
  if (token ~ /^(true|false|null)$/) KIND[at] = token
  else if (token ~ /^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity)$/) KIND[at] = "number"
  else return ""
  return json_after()
}

# The pointer of the value at the current position; in an array it counts a new element.
function json_here(    parent) {
  if (JSON_DEPTH == 0) return ""
  parent = JSON_PATH[JSON_DEPTH]
  return parent "/" (JSON_OPEN[JSON_DEPTH] == "[" ? SIZE[parent]++ : JSON_KEY[JSON_DEPTH])
}

# Reads the key of a member. Of two members with the same key the later one wins.
function json_key(    parent, old) {
  if (!json_string()) return ""
  gsub(/~/, "~0", JSON_STRING)
  gsub(/\//, "~1", JSON_STRING)
  JSON_KEY[JSON_DEPTH] = JSON_STRING
  parent = JSON_PATH[JSON_DEPTH]
  if (parent "/" JSON_STRING in KIND) {
    old = parent "/" JSON_STRING
    delete_value(old)
  } else {
    SIZE[parent]++
  }
  return ":"
}

# Reads a string into JSON_STRING; returns 0 if it is invalid.
function json_string(    c) {
  JSON_STRING = ""
  JSON_AT++
  while (1) {
    if (match(substr(JSON_TEXT, JSON_AT, 256), /^[^"\\\001-\037]+/)) {
      JSON_STRING = JSON_STRING substr(JSON_TEXT, JSON_AT, RLENGTH)
      JSON_AT += RLENGTH
      continue
    }
    c = substr(JSON_TEXT, JSON_AT++, 1)
    if (c == "\"") return 1
    if (c != "\\" || !json_escape()) return 0
  }
}

# Reads an escape sequence after the backslash; returns 0 if it is invalid.
function json_escape(    c, at, code, low) {
  c = substr(JSON_TEXT, JSON_AT++, 1)
  if (c == "u") {
    if ((code = json_hex()) < 0) return 0
    if (code >= 55296 && code < 56320 && substr(JSON_TEXT, JSON_AT, 2) == "\\u") {
      JSON_AT += 2
      if ((low = json_hex()) < 0) return 0
      if (low >= 56320 && low < 57344) code = 65536 + (code - 55296) * 1024 + low - 56320
      else JSON_AT -= 6
    }
    JSON_STRING = JSON_STRING utf8(code)
    return 1
  }
  if (c == "" || !(at = index("\"\\/bfnrt", c))) return 0
  JSON_STRING = JSON_STRING substr("\"\\/\b\f\n\r\t", at, 1)
  return 1
}

# Four hexadecimal digits as a number, -1 if they are invalid.
function json_hex(    digits, i, n) {
  digits = tolower(substr(JSON_TEXT, JSON_AT, 4))
  if (digits !~ /^[0-9a-f][0-9a-f][0-9a-f][0-9a-f]$/) return -1
  for (i = 1; i <= 4; i++) n = n * 16 + index("0123456789abcdef", substr(digits, i, 1)) - 1
  JSON_AT += 4
  return n
}

# The UTF-8 encoding of a code point.
function utf8(code) {
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}

# Deletes a value and everything below it.
function delete_value(pointer,    p) {
  for (p in KIND) {
    if (p == pointer || index(p, pointer "/") == 1) {
      delete KIND[p]
      delete VALUE[p]
      delete SIZE[p]
    }
  }
}

function delete_all(    p) {
  for (p in KIND) delete KIND[p]
  for (p in VALUE) delete VALUE[p]
  for (p in SIZE) delete SIZE[p]
}

# Every value that json.awk has read, a line each: pointer, kind, value, size; %, tab and newline as in a URL.
function plain(text) {
  gsub(/%/, "%25", text)
  gsub(/\n/, "%0A", text)
  gsub(/\t/, "%09", text)
  return text
}
END {
  printf "%d\n", VALID
  if (VALID) for (p in KIND) printf "%s\t%s\t%s\t%s\n", plain(p), KIND[p], plain(VALUE[p] ""), SIZE[p]
}

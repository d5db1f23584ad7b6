# lm-eval: every metric of every task; the score is the most telling one of the first group or task, by name.
function read_report(    p, key, order, best, score) {
  is_evaluation = 1
  for (p in KIND) {
    if (p !~ "^/results/[^/]+/[^/]+$" || number(p) == "" || p ~ /_stderr,|\/alias$|\/sample_len$/) continue
    key = substr(p, 10)
    SCORES[key] = number(p)
    order = sort_key(key)
    if (best == "" || order < best) {
      best = order
      score = key
    }
  }
  M["score"] = score == "" ? "" : SCORES[score]
  M["duration_s"] = first_of(number("/total_evaluation_time_seconds"), number_in_string("/total_evaluation_time_seconds"))
  if (score == "") reject("the report has no score")
  reject(find_empty_task())
}

# A text by which scores sort, the most telling first. A key is TASK/METRIC,FILTER; what is better lower is noted.
function sort_key(key,    task, metric, filter) {
  task = metric = key
  sub(/\/.*/, "", task)
  sub(/^[^\/]*\//, "", metric)
  filter = metric
  sub(/,.*/, "", metric)
  if (!sub(/^[^,]*,/, "", filter)) filter = "none"
  if (KIND["/higher_is_better/" task "/" metric] == "false") LOWER[key] = 1
  return (("/groups/" task) in KIND ? 1 : 2) task "\t" ((key in LOWER) ? 2 : 1) \
    position(metric, "exact_match acc acc_norm prompt_level_strict_acc pass@1") position(filter, "none strict-match") key
}

# Where a word stands in a list, the last place for one that does not; flexible-extract comes after all others.
function position(word, list,    words, n, i) {
  n = split(list, words, " ")
  for (i = 1; i <= n; i++) if (words[i] == word) return i
  return word == "flexible-extract" ? 9 : 8
}

# A number that is written as a text.
function number_in_string(pointer) {
  return KIND[pointer] == "string" && VALUE[pointer] ~ /^[0-9]+(\.[0-9]+)?$/ ? VALUE[pointer] : ""
}

# Why lm-eval's report is of nothing: it must count its samples, of every task some.
function find_empty_task(    p, counts, empty) {
  for (p in KIND) {
    if (p !~ "^/n-samples/[^/]+/effective$" && ("/n-samples" in KIND || p !~ "^/results/[^/]+/sample_len$")) continue
    counts++
    if (number(p) + 0 <= 0 && (empty == "" || p < empty)) empty = p
  }
  if (!counts) return "the report has no sample counts"
  gsub(/^\/[^\/]*\/|\/[^\/]*$/, "", empty)
  return empty == "" ? "" : "no sample of " unescape(empty) " was evaluated"
}

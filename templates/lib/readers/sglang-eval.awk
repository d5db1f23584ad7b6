# SGLang's evaluator: "score", or "mean_score" of several rounds; every other number is a score of its own.
function read_report(    p, key) {
  is_evaluation = 1
  M["score"] = first_of(number("/mean_score"), number("/score"))
  M["duration_s"] = number("/latency")
  M["output_tokens_per_s"] = number("/output_throughput")
  for (p in KIND) {
    key = substr(p, 2)
    if (p ~ "^/[^/]+$" && key !~ /^(score|mean_score|latency|output_throughput)$/ && number(p) != "") SCORES[key] = number(p)
  }
  if (M["score"] == "") reject("the report has no score")
  else if (number("/chars") != "" && number("/chars") + 0 == 0) reject("the model returned no text")
  else if (M["score"] + 0 == 0 && number("/chars") == "" && M["output_tokens_per_s"] + 0 == 0) reject("the model returned no tokens")
}

# A run without a report.
function read_report() {
  return
}

"""The command line: arguments, printing, exit codes. stdout is data, stderr is prose."""

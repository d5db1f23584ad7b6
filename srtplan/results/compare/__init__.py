"""Compare runs. In: summaries and plans. Out: differences in figures and plans, and Pareto fronts."""

"""Two or more runs side by side. In: summaries and plans. Out: differences in figures and plans, and Pareto fronts."""

"""Plugins for srtplan: the engine LMDeploy and the benchmark GuideLLM."""

"""Simulated engines, frontends, infra services and load clients that speak the real interfaces."""

"""The collector (DeploymentMetricsCollectorTask): asks the sources, and writes their values as ``platform``."""
